"""Notebooks that share this kernel: a door and contexts for each, from the request that opens it to its end.

Knows doors by their contract and makes none: what starts the kernel says how.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.clients import Clients, ClientsOfDoor
from llmspell_kernel.notebook_id import notebook_id
from llmspell_kernel.request import Submit
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.background import of_no_request
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import is_running, notebook_path, notebooks
from llmspell_protocol.errors import Busy, Cancelled, NotFound, Unsupported

if TYPE_CHECKING:
    from llmspell_kernel.doors.door import Door
    from llmspell_kernel.scripting.shells import Shells

log = logging.getLogger(__name__)

MakeDoor = Callable[[ConnectionInfo, str], "Door"]
"""A bound door for the notebook of this id. Raises as `bind_sockets`."""
End = Literal["shutdown", "restart", "closed", "replaced"]

_SLOW_READERS_S = 2.0
_CANCELLING_S = 2.0
"""How long cancelled cells may take to end; a script that doesn't stop is killed after one second."""
_PORTS_FREE_WITHIN_S = 3.0
"""How long a kernel that had the addresses before may take to let them go."""


class Notebook:
    """One notebook: how it is reached, what it runs in, and when it ends. Its `door` is None until it has one."""

    def __init__(self, id: str, name: str, info: ConnectionInfo, shells: Shells, clients: ClientsOfDoor) -> None:
        self.id = id
        self.name = name
        self.info = info
        self.door: Door | None = None
        self.shells = shells
        self.clients = clients
        self.started = time.time()
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.closing: asyncio.Task[None] | None = None

    def end(self, how: End) -> None:
        """It ends now; what opened it closes it."""
        if not self.ended.done():
            self.ended.set_result(how)

    @property
    def busy(self) -> bool:
        """Whether a cell runs or waits."""
        return any(context.busy for context in self.shells)

    def is_at(self, info: ConnectionInfo) -> bool:
        """Whether its addresses and its key are these."""
        return (self.info.ip, self.info.ports, self.info.key) == (info.ip, info.ports, info.key)


class Notebooks:
    """The open notebooks, oldest first; belongs to the loop.

    `files` are the kernel's id and its run directory, where it tells of notebooks by their ids. Without `make_door` the
    kernel takes no notebooks.
    """

    def __init__(
        self,
        make_door: MakeDoor | None,
        contexts: Contexts,
        requests: ActiveRequests,
        clients: Clients,
        submit: Submit,
        files: tuple[str, Path] | None,
    ) -> None:
        self._make_door = make_door
        self._contexts = contexts
        self._requests = requests
        self._clients = clients
        self._submit = submit
        self._files = files
        self._by_id: dict[str, Notebook] = {}
        """From when they are asked for to when they are closed: those too whose addresses are not free yet."""

    def __len__(self) -> int:
        return sum(one.door is not None for one in self._by_id.values())

    def __iter__(self) -> Iterator[Notebook]:
        return iter([one for one in self._by_id.values() if one.door is not None])

    def named(self, id: str) -> Notebook:
        """The open notebook of this id.

        Raises:
            NotFound: there is none (any more).
        """
        found = next((one for one in self if one.id == id), None)
        if found is None:
            ids = ", ".join(one.id for one in self)
            hint = f"open: {ids}" if ids else "no notebook is open"
            raise NotFound(f"there is no notebook '{id}'", hint=hint, details={"notebook": id})
        return found

    async def open(self, connection_file: Path, name: str, directory: str | None) -> Notebook:
        """Opens a door at the addresses of a connection file, which the newest who opens them has.

        One that was replaced, or closed, before its addresses were free has ended when it is returned.

        Raises:
            Unsupported: this kernel takes no notebooks, or the address is not of this machine alone.
            Busy, ConfigError: the addresses can't be had.
            NotFound, ConfigError: the file can't be read, or is no connection file; it has to be a plain one of this
                user's, since another process says which.
        """
        # A file system may take its time, or all of it.
        info = await asyncio.to_thread(ConnectionInfo.read, connection_file, own=True)
        if self._make_door is None:
            raise Unsupported(
                "this kernel ends with what started it, and takes no notebooks",
                hint="llmspell kernel start --daemon starts one that does",
            )
        while (other := next((one for one in self._by_id.values() if one.is_at(info)), None)) is not None:
            # What had opened it may be gone, and its end not noticed yet.
            other.end("replaced")
            await self.close(other)
        id = notebook_id(connection_file.stem, name, self._is_taken)
        shells = self._contexts.open_notebook(id, directory)
        notebook = self._by_id[id] = Notebook(id, name, info, shells, ClientsOfDoor(self._clients))
        try:
            door = await self._door(self._make_door, notebook)
        except BaseException:
            self._contexts.end_notebook(id, shells)
            self._forget(notebook)
            raise
        if door is not None:
            notebook.door = door
            door.open(self._submit, notebook.clients)
            self._tell(id, connection_file)
            log.info("notebook %s opens at %s", id, info.address)
        return notebook

    async def close(self, notebook: Notebook) -> None:
        """Ends what runs in it, answers everyone, closes its door; further calls wait for the first."""
        if notebook.closing is None:
            closing = self._close(notebook)
            notebook.closing = of_no_request(asyncio.get_running_loop().create_task, closing)
        await asyncio.shield(notebook.closing)

    async def close_all(self) -> None:
        """The kernel ends."""
        for notebook in tuple(self._by_id.values()):
            await self.close(notebook)

    async def _close(self, notebook: Notebook) -> None:
        notebook.end("closed")
        self._contexts.end_notebook(notebook.id, notebook.shells)
        own = [one for one in self._requests if one.caller.notebook == notebook.id and one.parent is None]
        for request in own:
            request.cancel("the notebook has ended")
        try:
            if tasks := {request.task for request in own if request.task is not None}:
                await asyncio.wait(tasks, timeout=_CANCELLING_S)
            for request in own:
                if not request.answered:  # It does not end; its frontend is told all the same.
                    request.fail(Cancelled("cancelled: the notebook has ended"))
            if notebook.door is not None:
                await notebook.door.all_taken(_SLOW_READERS_S)
        finally:
            self._forget(notebook)
        log.info("notebook %s has ended", notebook.id)

    def _forget(self, notebook: Notebook) -> None:
        """Closes its door, and lets go of what was its; nothing where that was done."""
        if self._by_id.get(notebook.id) is not notebook:
            return
        if notebook.door is not None:
            notebook.door.close()
        for client in notebook.clients:
            notebook.clients.gone(client)
        del self._by_id[notebook.id]
        if self._files is not None and notebook.door is not None:
            Path(notebook_path(self._files[1], notebook.id)).unlink(missing_ok=True)

    def _is_taken(self, id: str) -> bool:
        if id in self._by_id:
            return True
        # Other kernels of this home tell of theirs in the same directory.
        return self._files is not None and (
            is_running(self._files[1], id) or id in (one.id for one in notebooks(self._files[1]))
        )

    def _tell(self, id: str, connection_file: Path) -> None:
        """Lets commands find the notebook by its id."""
        if self._files is None:
            return
        kernel, run_dir = self._files
        told = json.dumps({"kernel": kernel, "connection_file": str(connection_file)})
        try:
            Path(notebook_path(run_dir, id)).write_text(told, encoding="utf-8")
        except OSError as error:
            log.warning("notebook %s can't be named in commands: %s", id, error.strerror)

    async def _door(self, make_door: MakeDoor, notebook: Notebook) -> Door | None:
        """Its door, once the addresses are free; None where it has ended by then."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PORTS_FREE_WITHIN_S
        while not notebook.ended.done():
            try:
                return make_door(notebook.info, notebook.id)
            except Busy:
                if loop.time() > until:
                    raise
                await asyncio.sleep(0.02)
        return None

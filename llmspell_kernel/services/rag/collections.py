"""The collections worker, seen from the kernel: started when it is first asked, asked by records, started anew if it
ends. Knows no requests; belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from llmspell_protocol.background import of_no_request
from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, Unavailable, WorkerCrashed, error_from_content
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame, FrameTooLarge
from llmspell_protocol.rag.ops import OPS, WORKER, Abort, Open, Prepare
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.record import Record
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_providers.residency.memory import resident_bytes

R = TypeVar("R", bound=Record)

_LOG_NAME = "rag.log"
_GRACE_S = 10.0
"""What the worker gets to save its indexes when the kernel ends."""
_NAMES: Mapping[type[Record], str] = {op.request: name for name, op in OPS.items()}

OnProgress = Callable[[Frame], None]


class Collections:
    """One worker with all collections of a database; `where` gives its path (None: memory) and its settings."""

    def __init__(self, log_directory: Path, where: Callable[[], tuple[Path | None, IndexSettings]]) -> None:
        self._log_path = log_directory / _LOG_NAME
        self._where = where
        self._spawned: Child | None = None
        self._calls: Calls | None = None
        self._opening: asyncio.Task[Calls] | None = None
        self._opened_with: tuple[Path | None, IndexSettings] | None = None
        self._is_stale = False
        self._writers = 0
        self._closed = False
        self.problem: str | None = None
        """Why it could not be asked the last time."""

    @property
    def path(self) -> Path | None:
        """The database; None: memory."""
        return self._where()[0]

    @property
    def is_open(self) -> bool:
        """Whether the worker has opened the database, so that it answers at once."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None: it does not run."""
        return None if self._calls is None or self._calls.exit_status is not None else self._calls.child.pid

    def memory_bytes(self) -> int:
        """What the worker holds now."""
        pid = self.pid
        return 0 if pid is None else resident_bytes(pid) or 0

    def prepare(self) -> None:
        """Starts the process: it will be asked soon."""
        if self._spawned is None and self._calls is None and not self._closed:
            self._spawned = self._spawn()

    async def ask(self, wanted: Record, kind: type[R], on_progress: OnProgress | None = None) -> R:
        """Does one call, and gives its reply. Cancelling it ends the work.

        Raises:
            LlmspellError: as the worker says.
            WorkerCrashed: it ended; nothing that was not committed is there.
        """
        name = _NAMES[type(wanted)]
        calls = await self._open_calls()
        try:
            call = calls.open(name, **to_content(wanted))
        except FrameTooLarge:
            raise InvalidRequest(f"rag: what is sent with '{name}' is too large") from None
        return kind.from_content(await self._answer(call, on_progress))

    def abort(self, write: int) -> None:
        """Drops a begun document, without waiting for it."""
        self._tell(Abort(write=write))

    def prepare_search(self, place: Place) -> None:
        """Lets an open worker get ready for a search with a vector, without waiting for it."""
        self._tell(Prepare(place=place))

    def _tell(self, wanted: Record) -> None:
        if self._calls is not None and self._calls.exit_status is None:
            self._calls.open(_NAMES[type(wanted)], **to_content(wanted))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What the block writes is one: the same worker does all of it, unless it ends by itself."""
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1

    def reconfigure(self) -> None:
        """The settings may have changed: then the worker is started anew with them, once nothing is asked."""
        self._is_stale = self._opened_with is not None and self._where() != self._opened_with

    async def close(self) -> None:
        """Ends the worker, which saves what has changed."""
        self._closed = True
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._spawned is not None:
            await self._spawned.end(_GRACE_S)
        if self._calls is not None:
            await self._calls.child.end(_GRACE_S)

    async def _open_calls(self) -> Calls:
        if self._closed:
            raise Unavailable("the kernel is ending")
        if self._calls is not None and self._calls.exit_status is None:
            if not self._is_stale or self._writers or len(self._calls):
                return self._calls
            old, self._calls = self._calls, None
            await old.child.end(_GRACE_S)
        if self._opening is None or self._opening.done():
            self._opening = of_no_request(asyncio.get_running_loop().create_task, self._start())
        # One that gives up leaves the start to the others.
        return await asyncio.shield(self._opening)

    def _spawn(self) -> Child:
        return Child.spawn(WORKER, environment={}, log_path=self._log_path)

    async def _start(self) -> Calls:
        path, settings = self._opened_with = self._where()
        self._is_stale = False
        if path is not None:
            # Only with a file there is a directory.
            from llmspell_storage.directories import private_directory

            private_directory(path.parent, "rag.vector_storage.persistence_path or LLMSPELL_HOME")
        child, self._spawned = self._spawned or self._spawn(), None
        calls = Calls(child)
        wanted = Open(path=None if path is None else str(path), settings=settings)
        try:
            await self._answer(calls.open("open", **to_content(wanted)), None)
        except BaseException:
            calls.child.kill()
            raise
        self.problem = None
        self._calls = calls
        return calls

    async def _answer(self, call: Call, on_progress: OnProgress | None) -> Frame:
        try:
            while (frame := await call.next())["op"] in ("progress", "delta"):
                if on_progress is not None:
                    on_progress(frame)
        except asyncio.CancelledError:
            call.leave()
            raise
        if frame["op"] == EXITED:
            self.problem = f"its worker ended {ending(frame['status'])}"
            in_memory = " What was there is gone with it: it was kept in memory alone." if self.path is None else ""
            raise WorkerCrashed(
                f"the process that has the collections ended {ending(frame['status'])}.{in_memory}",
                hint=f"its log has more: {_LOG_NAME}; the same again starts another one",
                details={"exit_status": frame["status"]},
            )
        if frame["op"] == "error":
            error = error_from_content(frame["error"])
            if error.code.startswith("storage_"):
                self.problem = error.message
            raise error
        self.problem = None
        return frame

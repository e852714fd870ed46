"""Which script contexts there are: the shared one, those of notebooks, and isolated ones while a script runs.

Functions of scripts are called here, by the context that they belong to. What a request says and how an answer looks
is the handlers' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request, Submit
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.debugging.sessions import DebugSessions
from llmspell_kernel.scripting.engines import DEFAULT, Engine
from llmspell_kernel.scripting.function_key import FUNCTION_KEY
from llmspell_kernel.scripting.scope import OnOutput
from llmspell_kernel.scripting.shells import Shells
from llmspell_kernel.scripting.workers import Workers
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.child import Child


class ScriptFunction(NamedTuple):
    """A function that a script has offered: callable until it is released or its context forgets its variables."""

    context: str
    """The worker's name, which a script's requests have as `caller.context`."""
    number: int


class Contexts:
    """All script contexts of a kernel; belongs to the loop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        submit: Submit,
        log_directory: Path | None,
        *,
        engine: Engine = DEFAULT,
        on_context_end: Callable[[str], None] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._submit = submit
        self._workers = Workers(settings, submit, log_directory, on_context_end, environment)
        self._engine = engine
        self._numbers = count(1)
        self._by_id: dict[str, Context] = {}
        self._isolated = 0
        self.debugging = DebugSessions(self.of, self.get)
        """Their debuggers."""
        self._room = asyncio.Condition()
        self._tellings: set[asyncio.Task[None]] = set()
        self.shared = Context("shared", engine, self._workers)
        """That of clients of the kernel's own door: the repl, and a notebook with a kernel of its own."""
        self._shells: dict[str | None, Shells] = {None: self._new_shells(self.shared)}

    @property
    def pids(self) -> Sequence[int]:
        """The process ids of all workers, oldest first; one that was made ready ahead counts."""
        return self._workers.pids

    def prepare(self, launched: Child | None = None) -> None:
        """Readies one worker ahead of the first request: the one that was launched already, or a new one."""
        if not self._workers.pids:
            self._workers.prepare(launched)

    def open(self, kind: Literal["subshell", "isolated"], engine: Engine | None = None) -> Context:
        """A new context with an id of its own; `end` ends it."""
        context = self._new(kind, engine)
        self._by_id[context.id] = context
        return context

    def get(self, id: str | None) -> Context:
        """The context of this id; None is the shared one.

        Raises:
            NotFound: there is none (any more).
        """
        if id is None:
            return self.shared
        try:
            return self._by_id[id]
        except KeyError:
            raise NotFound(f"there is no script context '{id}'", details={"context": id}) from None

    def of(self, request: Request) -> Context:
        """The context whose cells this request is about: its notebook's, or the subshell that its header names.

        Raises:
            NotFound: the notebook has ended, or there is no such subshell.
        """
        subshell = request.root.header.get("subshell_id")
        if subshell is not None and not isinstance(subshell, str):
            raise InvalidRequest("subshell_id has to be a text")
        return self.shells(request.caller).of(subshell)

    def shells(self, caller: Caller) -> Shells:
        """All contexts of the notebook through whose door the caller came; without one, of the kernel's own door.

        Raises:
            NotFound: the notebook has ended.
        """
        try:
            return self._shells[caller.notebook]
        except KeyError:
            raise NotFound(f"notebook '{caller.notebook}' has ended", details={"notebook": caller.notebook}) from None

    def interrupt(self) -> None:
        """Interrupts what runs for the kernel's own door."""
        self._shells[None].interrupt()

    def open_notebook(self, name: str, directory: str | None) -> Shells:
        """The contexts of a new notebook, whose cells run in this directory; `end_notebook` ends them."""
        made = self._shells[name] = self._new_shells(self._new("notebook", directory=directory))
        made.main.prepare()  # Its first cell will come soon.
        return made

    def end_notebook(self, name: str, shells: Shells) -> None:
        """Ends what runs in a notebook's contexts, and their variables; another's of the same name stay."""
        if self._shells.get(name) is shells:
            del self._shells[name]
        shells.end()

    def _new_shells(self, main: Context) -> Shells:
        return Shells(main, lambda: self._new("subshell", directory=main.directory))

    def _new(self, kind: str, engine: Engine | None = None, directory: str | None = None) -> Context:
        return Context(
            f"{kind}-{next(self._numbers)}",
            engine or self._engine,
            self._workers,
            directory,
            self.debugging.context_ended,
        )

    def forget(self, owner: str) -> None:
        """A client has gone."""
        self.debugging.client_gone(owner)
        for context in (one for shells in tuple(self._shells.values()) for one in shells):
            for comms in (context.controls, context.comms):
                for comm in () if comms is None else comms.of_client(owner):
                    if comm.ending is not None and comm.ending.task is None:
                        self._submit(comm.ending)

    def end(self, id: str) -> None:
        """Ends a context, and what runs in it with it. Raises as `get`."""
        context = self.get(id)
        del self._by_id[id]
        context.forget_variables()
        self.debugging.context_ended(id)

    @asynccontextmanager
    async def isolated(self, engine: Engine | None = None) -> AsyncIterator[Context]:
        """A context for one script, ended with the block; waits while there are too many of them."""
        async with self._room:
            await self._room.wait_for(lambda: self._isolated < self._settings().runtime.max_concurrent_scripts)
            self._isolated += 1
        try:
            context = self.open("isolated", engine)
            try:
                yield context
            finally:
                self.end(context.id)
        finally:
            self._isolated -= 1
            self._tell_room()

    # Functions of scripts

    def function(self, request: Request, value: Any) -> ScriptFunction:
        """The function that a value in a script's request stands for.

        Raises:
            Forbidden: the request didn't come from a script, whose own functions alone it may name.
            InvalidRequest: the value stands for no function.
        """
        if request.caller.kind != "script" or request.caller.context is None:
            raise Forbidden("functions can be given by scripts only")
        number = value.get(FUNCTION_KEY) if isinstance(value, Mapping) else None
        if not isinstance(number, int):
            raise InvalidRequest("a function of the script's is needed here")
        return ScriptFunction(request.caller.context, number)

    async def invoke(
        self,
        request: Request,
        function: ScriptFunction,
        arguments: Sequence[Any],
        on_output: OnOutput,
        *,
        on_begin: Callable[[], None] | None = None,
    ) -> Any:
        """Calls a function of a script's for `request`, whose children its requests are. As `ScriptProcess.invoke`.

        Raises:
            NotFound: the function was released, or its context has ended.
        """
        process = self._workers.named(function.context)
        if process is None:
            raise NotFound("the script that gave this function has ended")
        return await process.invoke(request, function.number, arguments, on_output, on_begin)

    def output_of(self, function: ScriptFunction) -> OnOutput:
        """Prints where the script of a function prints, while it runs."""

        def on_output(stream: str, text: str) -> None:
            process = self._workers.named(function.context)
            if process is not None:
                process.print(stream, text)

        return on_output

    def release(self, function: ScriptFunction) -> None:
        """Lets a script's worker forget a function; nothing where it has ended."""
        process = self._workers.named(function.context)
        if process is not None:
            process.release(function.number)

    # The kernel's life

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Scripts that wait may have room now; those that start ask for the settings themselves."""
        self._tell_room()

    async def close(self) -> None:
        """Ends every context."""
        await self._workers.close()
        if self._tellings:
            await asyncio.wait(set(self._tellings))

    def _tell_room(self) -> None:
        async def tell() -> None:
            async with self._room:
                self._room.notify_all()

        telling = of_no_request(asyncio.get_running_loop().create_task, tell())
        self._tellings.add(telling)
        telling.add_done_callback(self._tellings.discard)

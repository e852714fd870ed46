"""The process that holds a session with one MCP server: `python -m llmspell_tools.mcp.worker`.

Frames: `start {name, command, args, env, cwd, url, headers, timeout_s}` gives `done {about, tools, problems}`; `list`
the same again; `call {tool, arguments}` gives `progress {message, figures}` and, last, `done {outcome, error,
duration_ms}`; `stop` ends the session; each may end with `error {error}`. `cancel {id}` ends a call. Unasked come
`changed`, once until the next `list`, and `ended {reason}`, when the server has ended: the kernel then ends us.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.errors import Cancelled, LlmspellError, OutOfMemory, Unsupported
from llmspell_protocol.extras import install_command
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.orphans import adopt_orphans
from llmspell_protocol.worker_memory import TOOL_BYTES, is_for_want_of_memory

if TYPE_CHECKING:
    from llmspell_tools.mcp.session import Session


def main() -> None:
    """Answers frames until the parent closes the pipe."""
    pipe = connect_parent()
    adopt_orphans()
    asyncio.run(_Worker(pipe).serve())


class _Worker:
    def __init__(self, pipe: FramePipe) -> None:
        self._pipe = pipe
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._session: Session | None = None
        self._holding: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._has_told = False
        self._has_ended = False

    async def serve(self) -> None:
        """Takes frames until there are no more; then the session ends, and the server with it."""
        loop = asyncio.get_running_loop()
        frames: asyncio.Queue[Frame | None] = asyncio.Queue()

        def read() -> None:
            try:
                while (frame := self._pipe.receive()) is not None:
                    loop.call_soon_threadsafe(frames.put_nowait, frame)
            except EOFError:
                loop.call_soon_threadsafe(frames.put_nowait, None)

        threading.Thread(target=read, name="frames", daemon=True).start()
        while (frame := await frames.get()) is not None:
            self._take(frame)
        for task in self._tasks.values():
            task.cancel()
        await self._stop({})

    def _take(self, frame: Frame) -> None:
        op, number = frame["op"], frame["id"]
        if op == "cancel":
            if task := self._tasks.get(number):
                task.cancel()
            return
        work = {"start": self._start, "list": self._list, "call": self._call, "stop": self._stop}[op]
        self._tasks[number] = asyncio.create_task(self._answer(number, work(frame)))

    async def _answer(self, number: int, work: Coroutine[Any, Any, Mapping[str, Any]]) -> None:
        try:
            answer = {"op": "done", **await work}
            self._pipe.send({**answer, "id": number})
            return
        except asyncio.CancelledError:
            content = Cancelled("the call was cancelled").to_content()
        except LlmspellError as error:
            content = error.to_content()
        except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
            if _is_gone(error):
                self._ended("it closed the connection")  # if nothing better was told; that answers all calls
                return
            if is_for_want_of_memory(error):
                text = f"it took more memory than it may ({TOOL_BYTES / 1e6:,.0f} MB)"
                content = OutOfMemory(text, details={"limit_bytes": TOOL_BYTES}).to_content()
            else:
                text = f"the session failed: {type(error).__name__}: {error}"
                content = incident_in_worker(error, text).to_content()
        finally:
            del self._tasks[number]
        self._pipe.send({"op": "error", "id": number, "error": content})

    async def _start(self, frame: Frame) -> Mapping[str, Any]:
        ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        # A task of its own: a session has to end in the task in which it began.
        self._holding = asyncio.create_task(self._hold(frame, ready))
        self._session = await ready
        return await self._list(frame)

    async def _hold(self, frame: Frame, ready: asyncio.Future[Session]) -> None:
        try:
            from llmspell_tools.mcp.session import Session, Wanted
        except ImportError as error:
            ready.set_exception(_lacking(error))
            return
        given = {name: frame[name] for name in Wanted._fields}
        wanted = Wanted(**{**given, "args": tuple(frame["args"])})
        try:
            async with Session.begun(wanted, on_change=self._changed, on_end=self._ended) as session:
                ready.set_result(session)
                await self._stopping.wait()
        except Exception as error:  # noqa: BLE001 - told by the call that waits, or by the end of the session
            if not ready.done():
                ready.set_exception(error)
            else:
                self._ended(f"the session failed: {type(error).__name__}")

    async def _list(self, _frame: Frame) -> Mapping[str, Any]:
        session = self._begun()
        self._has_told = False
        tools = await session.tools()
        return {"about": dict(session.about), "tools": tools, "problems": session.problems}

    async def _call(self, frame: Frame) -> Mapping[str, Any]:
        def on_progress(message: str, figures: Mapping[str, Any]) -> None:
            self._pipe.send({"op": "progress", "id": frame["id"], "message": message, "figures": dict(figures)})

        return await self._begun().call(frame["tool"], frame["arguments"], on_progress)

    async def _stop(self, _frame: Mapping[str, Any]) -> Mapping[str, Any]:
        self._stopping.set()
        if self._holding is not None:
            if self._session is None:
                self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
        return {}

    def _begun(self) -> Session:
        assert self._session is not None, "`start` comes first"
        return self._session

    def _changed(self) -> None:
        if not self._has_told:
            self._has_told = True
            self._pipe.send({"op": "changed"})

    def _ended(self, reason: str) -> None:
        if not (self._has_ended or self._stopping.is_set()):
            self._has_ended = True
            self._pipe.send({"op": "ended", "reason": reason})


def _is_gone(error: Exception) -> bool:
    from llmspell_tools.mcp.session import Gone

    return isinstance(error, Gone)


def _lacking(error: ImportError) -> Unsupported:
    package = (error.name or "mcp").partition(".")[0]
    return Unsupported(
        f"needs the package '{package}', which is not installed", hint=install_command("mcp"), details={"extra": "mcp"}
    )


if __name__ == "__main__":
    main()

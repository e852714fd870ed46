"""A debugger attached to one Lua state, seen from Python: commands go in, answers and events come out.

What a script that stands looks like, and where it stops, is Lua's (`engine.lua`). Here are the texts of what was
loaded, the paths that stand for them, and the wait for the next command. Knows frames, not who sends them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from lupa.lua54 import LuaError

from llmspell_kernel.scripting.lua.convert import name_only
from llmspell_kernel.scripting.lua.debugger.code_lines import code_lines
from llmspell_kernel.scripting.lua.guard import lua_text
from llmspell_kernel.scripting.lua.reach import Lent, nothing
from llmspell_kernel.scripting.lua.sandbox import Sandbox, ScriptFailure
from llmspell_kernel.scripting.told_texts import Texts
from llmspell_protocol.frames import Frame

T = TypeVar("T")

_UNNAMED = "expression"
"""The name of chunks that are neither a file nor a cell."""


class Commands(Protocol):
    """What an attached debugger needs of the worker."""

    def stopped(self) -> bool:
        """Whether the script has to stop."""

    @property
    def runs(self) -> bool:
        """Whether a script runs, or stands."""

    def command_waits(self) -> bool:
        """Whether a command is there that has not been taken."""

    def take_command(self) -> Frame | None:
        """The next command that is there."""

    def wait(self) -> None:
        """Waits until something has come and was served; raises `Stopped`."""

    def answer_command(self, number: int, fields: Mapping[str, Any]) -> None:
        """Sends the answer to a command."""

    def tell(self, event: str, body: Any) -> None:
        """Sends an event."""

    def aside(self, aside: bool) -> None:
        """From here on what runs within the script is the debugger's, and asks the kernel for nothing; or no more."""


class Attachment:
    """The debugger of a state, made when the first command comes; it stays, and costs nothing while detached."""

    def __init__(self, sandbox: Sandbox, commands: Commands) -> None:
        self._commands = commands
        self._border = sandbox.host.border
        self._sources = sandbox.host.sources
        self._texts: Texts[bytes] = Texts()
        self._queue: deque[Frame] = deque()
        self.stands = False
        self._attached = False
        self._active = True
        self._sandbox = sandbox
        self._lent: Lent | None = None
        self._serve, self._loaded, self._activate, self._idle, self.apart, self._look = sandbox.load_debugger(
            {
                "debug_take": self._take,
                "debug_answer": self._answer,
                "debug_event": self._event,
                "debug_source": self._source,
                "debug_lines": self._lines,
            },
            {"debug_waits": commands.command_waits, "debug_aside": self._aside},
        )
        self._sources.on_keep = self._keep

    def serve(self, frame: Frame) -> None:
        """Takes a command; it is answered at once where nothing stands: nothing runs, or what runs waits."""
        self._queue.append(frame)
        if self.stands:
            return
        try:
            self._serve()
        except LuaError:
            # A stop that came meanwhile has ended it, and the command with it; the script's own wait ends by it too.
            if not self._commands.stopped():
                raise

    def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """What a command gives that may run functions of the script's: it is stopped and limited as those are.

        Raises:
            ScriptFailure: it failed, or was stopped.
        """
        found = self._sandbox.call(self._look, [command, dict(arguments)], name_only)
        if "problem" in found:
            raise ScriptFailure(found["problem"])
        return found["result"]

    def watching(self, run: Callable[[], T], *, may_stop: bool) -> T:
        """Runs something that may stop, or may not; what is around it goes on as before."""
        before, self._active = self._active, may_stop
        stood = self.stands
        self._activate(may_stop)
        try:
            return run()
        finally:
            if self.stands and not stood:
                # It was stopped where it stood.
                self._event(b"continued", {"threadId": 1, "allThreadsContinued": True})
            self._active = before
            self._activate(before)

    def idle(self) -> None:
        """Nothing runs any more."""
        self._idle()

    # What Lua asks for

    def _take(self, wait: bool) -> tuple[Any, ...]:
        frame = self._next(wait=wait)
        if frame is None:
            return (None,)
        command, arguments = frame["command"], dict(frame["arguments"])
        if command == "attach":
            self._attach()
        elif command == "detach":
            self._attached = False
            self._texts.clear()
        elif command == "pause":
            arguments["running"] = self._commands.runs
        elif command == "know":
            self._texts.keep(arguments.pop("path"), arguments.pop("source").encode())
        elif command == "source":
            arguments["text"] = self._source(lua_text(arguments["path"]))[0]
        elif command == "modules":
            paths = [(name, path) for name, _, path in self._sources.all() if path is not None]
            arguments["modules"] = [{"id": at, "name": name, "path": path} for at, (name, path) in enumerate(paths)]
        return frame["id"], lua_text(command), self._border.to_lua(arguments)

    def _answer(self, number: int, ok: bool, result: Any) -> tuple[Any, ...]:
        if ok:
            fields = {"op": "done", "body": self._border.to_python(result, name_only)}
        else:
            fields = {"op": "error", "kind": "error", "message": result.decode("utf-8", "replace")}
        self._commands.answer_command(number, fields)
        return ()

    def _event(self, event: bytes, body: Any) -> tuple[Any, ...]:
        self.stands = event == b"stopped" or (self.stands and event != b"continued")
        self._commands.tell(event.decode(), self._border.to_python(body, name_only))
        return ()

    def _aside(self, aside: bool) -> None:
        reach = self._sandbox.host.reach
        if aside:
            self._lent, reach.lent = reach.lent, nothing()
        elif self._lent is not None:
            reach.lent, self._lent = self._lent, None
        self._commands.aside(aside)

    def _source(self, path: bytes) -> tuple[Any, ...]:
        return (self._text_of(os.fsdecode(path)),)

    def _lines(self, dump: bytes) -> tuple[Any, ...]:
        return (self._border.to_lua(code_lines(dump)),)

    def _next(self, *, wait: bool) -> Frame | None:
        while not self._queue:
            frame = self._commands.take_command()
            if frame is not None or not wait:
                return frame
            self._commands.wait()
        return self._queue.popleft()

    # What was loaded

    def _attach(self) -> None:
        self._attached = True
        for name, source, path in self._sources.all():
            self._keep(name, source, path)

    def _keep(self, name: str, _source: bytes, _path: str | None) -> None:
        if self._attached and self._active and name != _UNNAMED:
            self._loaded(lua_text(f"@{name}"), lua_text(self._sources.debugged_path(name)))

    def _text_of(self, path: str) -> bytes | None:
        for name, source, _ in self._sources.all():
            if name != _UNNAMED and self._sources.debugged_path(name) == path:
                return source
        return self._texts.get(path)

"""A debugger on a Lua state in the test's own process: what it does at each stop, the test says as a generator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from itertools import count
from typing import Any

from llmspell_kernel.scripting.lua.debugger.attachment import Attachment
from llmspell_kernel.scripting.lua.guard import Stopped
from llmspell_protocol.frames import Frame
from tests.support.lua_kernel import LuaBench

Command = tuple[str, dict[str, Any]]
Talk = Generator[Command, Any, None]
"""Yields commands, gets their answers' bodies (a refused one's message as `Refused`)."""

PATH = "/work/test.lua"


class Refused(str):
    """Why a command was refused."""


class DebugBench(LuaBench):
    """A sandbox with its debugger; `stops` are the stopped events, `told` all events."""

    def __init__(self, stdlib: str = "All") -> None:
        super().__init__(stdlib)
        self._numbers = count(1)
        self._answers: dict[int, Any] = {}
        self._talk: Talk | None = None
        self._asked: int | None = None
        self._waiting: list[Frame] = []
        self.runs = False
        self.told: list[tuple[str, Any]] = []
        self.attachment = Attachment(self.sandbox, self)
        self.ask("attach")

    @property
    def stops(self) -> list[Mapping[str, Any]]:
        return [body for event, body in self.told if event == "stopped"]

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a command while nothing stands."""
        number = next(self._numbers)
        self.attachment.serve({"op": "debug", "id": number, "command": command, "arguments": arguments})
        return self._answers.pop(number)

    def break_at(self, *lines: int | Mapping[str, Any], path: str = PATH) -> Any:
        """Sets the breakpoints of the script; each is a line, or a map of its own."""
        places = [{"id": at, **({"line": one} if isinstance(one, int) else one)} for at, one in enumerate(lines, 1)]
        return self.ask("setBreakpoints", path=path, breakpoints=places)["breakpoints"]

    def debug(self, code: str, talk: Callable[[], Talk] | None = None, path: str = PATH) -> Any:
        """Runs a script; at its stops the talk goes on. Gives the script's value."""
        self._asked = None
        self.runs, self._talk = True, talk() if talk is not None else None
        try:
            run = lambda: self.sandbox.execute(code, "test.lua", path=path).data  # noqa: E731
            return self.attachment.watching(run, may_stop=True)
        finally:
            self.runs = False
            self.attachment.idle()

    def later(self, command: str, **arguments: Any) -> None:
        """A command that comes while the script runs."""
        frame = {"op": "debug", "id": next(self._numbers), "command": command, "arguments": arguments}
        self._waiting.append(frame)

    # `Commands`

    def stopped(self) -> bool:
        return self.kernel.stopped()

    def command_waits(self) -> bool:
        return bool(self._waiting)

    def take_command(self) -> Frame | None:
        return self._waiting.pop(0) if self._waiting else None

    def wait(self) -> None:
        """The script stands: the talk's next command."""
        if self.kernel.stopped():
            raise Stopped
        assert self._talk is not None, "the script stands, and nothing tells it to go on"
        answer = self._answers.pop(self._asked) if self._asked is not None else None
        command, arguments = self._talk.send(answer)
        self._asked = next(self._numbers)
        frame = {"op": "debug", "id": self._asked, "command": command, "arguments": arguments}
        self.attachment.serve(frame)

    def answer_command(self, number: int, fields: Mapping[str, Any]) -> None:
        self._answers[number] = fields["body"] if fields["op"] == "done" else Refused(fields["message"])

    def aside(self, aside: bool) -> None:
        pass

    def tell(self, event: str, body: Any) -> None:
        self.told.append((event, body))

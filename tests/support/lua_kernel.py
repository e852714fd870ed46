"""A sandbox in the test's own process, and what stands for the kernel behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from llmspell_kernel.scripting.lua import questions
from llmspell_kernel.scripting.lua.files import Files
from llmspell_kernel.scripting.lua.guard import Stopped
from llmspell_kernel.scripting.lua.programs import Programs
from llmspell_kernel.scripting.lua.sandbox import Sandbox, ScriptFailure, Value

MEMORY = 50_000_000


class ScriptedKernel:
    """Answers requests from what a test put into `answers`; asks the script to stop after so many looks."""

    def __init__(self) -> None:
        self.output = ""
        self.errors = ""
        self.shown: list[tuple[str, dict[str, Any], list[bytes]]] = []
        self.logged: list[tuple[str, str, str | None, Any]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.closed: list[int] = []
        self.answers: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.lines: list[str] = []
        self.asked: list[tuple[str, bool]] = []
        self.slept: list[float] = []
        self.waits: list[bool] = []
        self.exit_status: int | None = None
        self.looks_left: int | None = None
        self.before_event: Callable[[], None] | None = None
        self._stop = False
        self._events: dict[int, deque[tuple[str, dict[str, Any]]]] = {}

    def stopped(self) -> bool:
        if self.looks_left is not None:
            self.looks_left -= 1
            self._stop = self._stop or self.looks_left < 0
        return self._stop

    def clear_stop(self) -> None:
        self._stop, self.looks_left = False, None

    def exit(self, status: int) -> None:
        self._stop, self.exit_status = True, status

    def write(self, stream: str, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        if stream == "stdout":
            self.output += text
        else:
            self.errors += text

    def show(self, kind: str, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.shown.append((kind, content, buffers))

    def log(self, level: str, message: str, module: str | None, data: Any) -> None:
        self.logged.append((level, message, module, data))

    def open(self, msg_type: str, content: Mapping[str, Any]) -> int:
        self.requests.append((msg_type, dict(content)))
        number = len(self.requests)
        area = msg_type.removesuffix("_request")
        self._events[number] = deque(self.answers[f"{area} {content['action']}"])
        return number

    def next_event(self, number: int) -> tuple[str, dict[str, Any]]:
        if self.before_event is not None:
            self.before_event()
        if self._stop:
            raise Stopped
        return self._events[number].popleft()

    def close(self, number: int) -> None:
        self.closed.append(number)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def wait_for_other(self, waiting: bool) -> None:
        self.waits.append(waiting)

    def read_line(self, prompt: str = "", *, password: bool = False) -> str | None:
        self.asked.append((prompt, password))
        return self.lines.pop(0) if self.lines else None


class LuaBench:
    """A sandbox and its kernel."""

    def __init__(self, stdlib: str = "All", memory: int = MEMORY, *, sessions: bool = True, rag: bool = True) -> None:
        self.kernel = ScriptedKernel()
        self.sandbox = Sandbox(self.kernel, stdlib=stdlib, max_memory_bytes=memory, sessions=sessions, rag=rag)
        self.place()

    def place(self, files: Files | None = None, programs: Programs | None = None, **environment: str) -> None:
        """Sets what the script may read and run."""
        self.sandbox.prepare(files=files or Files(), environment=environment, programs=programs)

    def run(self, code: str, name: str = "test.lua") -> Value:
        """Runs a script to its end."""
        return self.sandbox.execute(code, name)

    def completed(self, text: str, directory: str | None = None) -> tuple[list[str], str]:
        """The candidates at the bar in a text, and what of the text they stand for."""
        code, cursor = text.replace("|", ""), text.index("|")
        found = questions.complete(self.sandbox, code, cursor, directory, [directory] if directory else [])
        return [one[0] for one in found["matches"]], code[found["start"] : found["end"]]

    def inspected(self, text: str, *, detailed: bool = False) -> str | None:
        """What is told about the name at the bar in a text."""
        data = questions.inspect(self.sandbox, text.replace("|", ""), text.index("|"), detailed=detailed)
        return data.get("text/plain")

    def value(self, code: str) -> Any:
        """What a script returns, as plain data."""
        return self.run(code).data

    def failure(self, code: str, name: str = "test.lua") -> ScriptFailure:
        """The failure of a script that has to fail."""
        try:
            value = self.run(code, name)
        except ScriptFailure as failure:
            return failure
        raise AssertionError(f"it gave {value.text}")

    def caught(self, code: str) -> str:
        """What `pcall` says about code that has to raise."""
        ok, message = self.value(f"local ok, message = pcall(function() {code} end) return {{ok, message}}")
        assert ok is False
        assert isinstance(message, str)
        return message


def reply(**content: Any) -> list[tuple[str, dict[str, Any]]]:
    """The answer of one reply."""
    return [("reply", {"status": "ok", **content})]


def refused(code: str, message: str, hint: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The answer of an error."""
    content: dict[str, Any] = {"status": "error", "code": code, "message": message}
    if hint is not None:
        content["hint"] = hint
    return [("reply", content)]

"""The Python functions that the Lua files call: requests, output, input, time, text. Scripts never hold one of them.

Each returns `(True, results…)`, `(False, message)` or None when the script has to stop; arguments and results are what
lupa hands over (bytes for strings). Nothing is raised into Lua.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from llmspell_kernel.scripting.lua.convert import Border, NotConvertible
from llmspell_kernel.scripting.lua.guard import Stopped, guarded, lua_text
from llmspell_kernel.scripting.lua.reach import Reach
from llmspell_kernel.scripting.lua.refusals import Refusal, refusal
from llmspell_kernel.scripting.lua.sources import Sources
from llmspell_kernel.scripting.lua.value_functions import ValueFunctions
from llmspell_protocol.worker_memory import resident_bytes

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.kept import KeptBorder

MAX_SLEEP_S = 86_400.0
MAX_SHOWN_BYTES = 16 << 20
"""Of one display, as it travels: what is larger makes a notebook that nothing opens."""


class Kernel(Protocol):
    """What these functions need of the worker: the pipe to the kernel, and who wants the script to stop."""

    def stopped(self) -> bool:
        """Whether the running script has to stop; looks at the pipe."""

    def clear_stop(self) -> None:
        """What ran innermost has stopped; what is around it may have to stop next."""

    def exit(self, status: int) -> None:
        """The script asks to end with this status."""

    def write(self, stream: str, data: bytes) -> None:
        """Output of the script."""

    def show(self, kind: str, content: dict[str, Any], buffers: list[bytes]) -> None:
        """A display, progress, or a comm's message. Raises `Refusal` where it is too large."""

    def log(self, level: str, message: str, module: str | None, data: Any) -> None:
        """A line for the kernel's log."""

    def open(self, msg_type: str, content: dict[str, Any]) -> int:
        """Sends a request; returns its number."""

    def next_event(self, number: int) -> tuple[str, dict[str, Any]]:
        """Waits for `progress`, `delta` or `reply` and its content; raises `Stopped`."""

    def close(self, number: int) -> None:
        """Cancels a request that isn't finished."""

    def sleep(self, seconds: float) -> None:
        """Waits; raises `Stopped`."""

    def wait_for_other(self, waiting: bool) -> None:
        """The script waits for something else from here on, or goes on: the time counts accordingly."""

    def read_line(self, prompt: str = "", *, password: bool = False) -> str | None:
        """A line of input without its end; None at the end of input. Raises `Stopped`, `Refusal`."""


class Host:
    """The functions, for one runtime; what they may `reach` changes with each execution."""

    NAMES = (
        *("request", "request_kept", "open", "next_event", "close", "fail", "log", "sleep", "read_line", "exit"),
        *("offer", "own_source", "read_own", "memory", "source_line", "payload", "show", "has_frontend"),
    )

    def __init__(self, kernel: Kernel, runtime: Any, max_memory_bytes: int) -> None:
        self.sources = Sources()
        self.reach = Reach(kernel, self.sources)
        self.last_refusal: tuple[str, Refusal] | None = None
        """The text that was raised last, and why: an uncaught error keeps code and hint by it."""
        self.payloads: dict[str, dict[str, Any]] | None = None
        """What the frontend is asked to do when the cell has ended, the last of each kind; None: there is none."""
        self.frontend = False
        """Whether what runs is a cell, which frontends see."""
        self.offered: dict[int, Any] = {}
        """Functions of the script's that the kernel may call, by the id under which they travel."""
        self._numbers = count(1)
        self._kernel = kernel
        self._runtime = runtime
        self.border = Border(runtime)
        self._values = ValueFunctions(self.border)
        self._max_memory_bytes = max_memory_bytes
        self._kept: KeptBorder | None = None

    def functions(self) -> dict[str, Any]:
        """Every function under the name that the Lua files use."""
        kernel, runtime, limit = self._kernel, self._runtime, self._max_memory_bytes
        safe: dict[str, Callable[..., Any]] = {
            **{name: guarded(getattr(self, f"_{name}")) for name in self.NAMES},
            **{name: guarded(getattr(self.reach, name)) for name in Reach.NAMES},
            **{name: guarded(getattr(self._values, name)) for name in ValueFunctions.NAMES},
        }
        # These neither allocate in Lua nor fail, or are Lua's own, so they do without the guard.
        plain: dict[str, Any] = {
            "stopped": kernel.stopped,
            "lift_limit": lambda: runtime.set_max_memory(0),
            "set_limit": lambda: runtime.set_max_memory(limit),
            "null": self.border.null,
            "array": self.border.array,
            "shape": self.border.shape,
            "write": lambda stream, data: kernel.write("stdout" if stream == b"stdout" else "stderr", data),
        }
        return {**safe, **plain}

    def _request(self, msg_type: bytes, table: Any) -> tuple[Any, ...]:
        number = self._kernel.open(msg_type.decode(), self._content(table))
        while True:
            kind, content = self._kernel.next_event(number)
            if kind == "reply":
                return self._answer(content)

    def _request_kept(self, msg_type: bytes, table: Any) -> tuple[Any, ...]:
        """As `_request`; values are kept exactly."""
        if self._kept is None:
            # Few scripts keep anything.
            from llmspell_kernel.scripting.lua.kept import KeptBorder

            self._kept = KeptBorder(self.border, self._runtime)
        number = self._kernel.open(msg_type.decode(), self._kept.content(table))
        while True:
            kind, content = self._kernel.next_event(number)
            if kind == "reply":
                return self._answer(content, self._kept.reply)

    def _open(self, msg_type: bytes, table: Any) -> tuple[Any, ...]:
        return (self._kernel.open(msg_type.decode(), self._content(table)),)

    def _next_event(self, number: int) -> tuple[Any, ...]:
        kind, content = self._kernel.next_event(number)
        if kind != "reply":
            return kind.encode(), self.border.to_lua(content)
        ok, *rest = self._answer(content)
        return (b"reply" if ok else b"error"), *rest

    def _content(self, table: Any) -> dict[str, Any]:
        # What is no number is the kernel's to refuse, by the name of its field; as null it would be absent.
        content = self.border.to_python(table, exact=True)
        if not isinstance(content, dict):
            raise NotConvertible("a request's content has to be an object")
        return content

    def _answer(self, content: dict[str, Any], to_lua: Callable[[Any], Any] | None = None) -> tuple[Any, ...]:
        if content.get("status") == "error":
            refused = Refusal(content)
            self.last_refusal = (refused.text, refused)
            return False, lua_text(refused.text), lua_text(refused.message), lua_text(refused.code)
        kept = {key: value for key, value in content.items() if key not in ("status", "seq")}
        return True, (to_lua or self.border.to_lua)(kept)

    def _close(self, number: int) -> tuple[Any, ...]:
        self._kernel.close(number)
        return ()

    def _fail(self, text: bytes) -> tuple[Any, ...]:
        if self.last_refusal is not None:
            self.last_refusal = (text.decode("utf-8", "replace"), self.last_refusal[1])
        return ()

    def _offer(self, function: Any) -> tuple[Any, ...]:
        number = next(self._numbers)
        self.offered[number] = function
        return (self.border.to_lua({"$fn": number}),)

    def _own_source(self, name: bytes) -> tuple[Any, ...]:
        """The text of one of our own files."""
        with open(f"{os.path.dirname(__file__)}/{name.decode()}", "rb") as file:
            return (file.read(),)

    def _show(self, kind: bytes, table: Any, buffers: Any = None) -> tuple[Any, ...]:
        content = self._content(table)
        size = (
            sum(len(form) for form in content.get("data", {}).values() if isinstance(form, str))
            if kind.endswith(b"display_data")
            else 0
        )
        if size > MAX_SHOWN_BYTES:
            told = f"a display holds at most {MAX_SHOWN_BYTES >> 20} MiB, got {size / (1 << 20):.1f} MiB"
            raise refusal("invalid_request", told, hint="write it to a file and show its name, or show less of it")
        parts = [] if buffers is None else [*buffers.values()]
        if not all(isinstance(part, bytes) for part in parts):
            raise refusal("invalid_request", "buffers has to be a list of strings")
        self._kernel.show(kind.decode(), content, parts)
        return ()

    def _has_frontend(self) -> tuple[Any, ...]:
        return (self.frontend,)

    def _log(self, level: bytes, message: bytes, module: bytes | None = None, data: Any = None) -> tuple[Any, ...]:
        values = None if data is None else self.border.to_python(data)
        where = None if module is None else module.decode("utf-8", "replace")
        self._kernel.log(level.decode(), message.decode("utf-8", "replace"), where, values)
        return ()

    def _sleep(self, seconds: float) -> tuple[Any, ...]:
        if not 0 <= seconds <= MAX_SLEEP_S:
            raise refusal("invalid_request", f"Utils.sleep takes 0 to {MAX_SLEEP_S:.0f} seconds, got {seconds:g}")
        self._kernel.sleep(seconds)
        return ()

    def _read_line(self, prompt: bytes = b"", password: bool = False) -> tuple[Any, ...]:
        line = self._kernel.read_line(prompt.decode("utf-8", "replace"), password=password)
        return (None if line is None else lua_text(line),)

    def _payload(self, source: bytes, table: Any) -> tuple[Any, ...]:
        """Whether there is a frontend that is asked."""
        if self.payloads is None:
            return (False,)
        self.payloads[source.decode()] = {"source": source.decode(), **self.border.to_python(table)}
        return (True,)

    def _exit(self, status: Any) -> tuple[Any, ...]:
        if isinstance(status, bool) or status is None:
            status = 0 if status is not False else 1
        if not isinstance(status, (int, float)) or status != status // 1:
            raise refusal("invalid_request", "os.exit takes true, false or an integer")
        self._kernel.exit(int(status) & 0xFF)
        raise Stopped

    def _read_own(self, file: bytes) -> tuple[Any, ...]:
        """The text of a file of globals that is read when it is first needed."""
        with open(f"{os.path.dirname(__file__)}/globals/{file.decode()}", "rb") as opened:
            return (opened.read(),)

    def _memory(self) -> tuple[Any, ...]:
        """Bytes that the Lua state holds, and those of this process in memory."""
        return self._runtime.get_memory_used(total=True), resident_bytes()

    def _source_line(self, script: bytes, line: int) -> tuple[Any, ...]:
        found = self.sources.line(script.decode("utf-8", "replace"), line)
        return (None if found is None else lua_text(found),)

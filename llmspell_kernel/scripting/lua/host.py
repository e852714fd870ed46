"""The Python functions that the Lua files call: requests, output, input, time, text. Scripts never hold one of them.

Each returns `(True, results…)`, `(False, message)` or None when the script has to stop; arguments and results are what
lupa hands over (bytes for strings). Nothing is raised into Lua.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llmspell_kernel.scripting.lua.convert import Border, NotConvertible
from llmspell_kernel.scripting.lua.files import EVERYTHING, Files
from llmspell_kernel.scripting.lua.json_text import parse, stringify
from llmspell_kernel.scripting.lua.refusals import Denied, Refusal, refusal
from llmspell_kernel.scripting.lua.sources import Sources
from llmspell_protocol.worker_memory import resident_bytes

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.kept import KeptBorder
    from llmspell_kernel.scripting.lua.programs import Programs

T = TypeVar("T")

_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
MAX_SLEEP_S = 86_400.0
MAX_SHOWN_BYTES = 16 << 20
"""Of one display, as it travels: what is larger makes a notebook that nothing opens."""


class Stopped(Exception):
    """The script has to end now; what for is the worker's knowledge."""


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

    def read_line(self) -> str | None:
        """A line of input without its end; None at the end of input. Raises `Stopped`, `Refusal`."""


def _guarded(call: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...] | None]:
    def guarded(*arguments: Any) -> tuple[Any, ...] | None:
        try:
            return (True, *call(*arguments))
        except Stopped:
            return None
        except Refusal as refused:
            return False, _bytes(refused.text)
        except NotConvertible as problem:
            return False, _bytes(f"Validation error: {problem}")
        except MemoryError:
            return False, b"not enough memory"
        except Exception as defect:  # noqa: BLE001 — an exception must not cross Lua's C code
            from llmspell_protocol.incidents import incident_in_worker

            what = f"Internal error: {type(defect).__name__}: {defect}"
            incident = incident_in_worker(defect, what).details["incident"]
            return False, _bytes(f"{what} (incident {incident})")

    return guarded


class Host:
    """The functions, for one runtime; `files` and `environment` change with each execution."""

    def __init__(self, kernel: Kernel, runtime: Any, max_memory_bytes: int) -> None:
        self.files = Files()
        self.environment: Mapping[str, str] = {}
        self.variables: Sequence[str] = ()
        """The names of variables that may be read; `*` is all."""
        self.programs: Programs | None = None
        self.sources = Sources()
        self._held: int | None = None
        self.last_refusal: tuple[str, Refusal] | None = None
        """The text that was raised last, and why: an uncaught error keeps code and hint by it."""
        self.asks = False
        """Whether a person can be asked for a permission that the script lacks."""
        self.frontend = False
        """Whether what runs is a cell, which frontends see."""
        self.denied: str | None = None
        """What the last file function that gave nil would have needed: scripts that go on with the nil lose it."""
        self._told: set[str] = set()
        self.offered: dict[int, Any] = {}
        """Functions of the script's that the kernel may call, by the id under which they travel."""
        self._numbers = count(1)
        self._kernel = kernel
        self._runtime = runtime
        self.border = Border(runtime)
        self._max_memory_bytes = max_memory_bytes
        self._kept: KeptBorder | None = None

    def functions(self) -> dict[str, Any]:
        """Every function under the name that the Lua files use."""
        kernel, runtime, limit = self._kernel, self._runtime, self._max_memory_bytes
        guarded: dict[str, Callable[..., Any]] = {
            name: _guarded(getattr(self, f"_{name}"))
            for name in (
                *("request", "request_kept", "open", "next_event", "close", "fail", "log", "sleep", "read_line"),
                *("exit", "getenv", "show", "has_frontend"),
                *("read_module", "find_module", "temporary_name", "json_parse", "json_stringify"),
                *("open_file", "release_file", "remove", "rename", "admit_program", "run_program"),
                *(
                    "nearest",
                    "schema_of_fields",
                    "parameters_of_schema",
                    "unpack_vectors",
                    "hash",
                    "offer",
                    "own_source",
                    "uuid",
                    "now_ms",
                    "precise_ms",
                    "timestamp",
                    "clock_text",
                    "unix_seconds",
                    "read_own",
                    "to_base64",
                    "from_base64",
                    "memory",
                    "source_line",
                    "matches",
                ),
            )
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
        return {**guarded, **plain}

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
            return False, _bytes(refused.text), _bytes(refused.message), _bytes(refused.code)
        kept = {key: value for key, value in content.items() if key not in ("status", "seq")}
        return True, (to_lua or self.border.to_lua)(kept)

    def _close(self, number: int) -> tuple[Any, ...]:
        self._kernel.close(number)
        return ()

    def _fail(self, text: bytes) -> tuple[Any, ...]:
        if self.last_refusal is not None:
            self.last_refusal = (text.decode("utf-8", "replace"), self.last_refusal[1])
        return ()

    def _admit_program(self, command: bytes | None, asker: bytes) -> tuple[Any, ...]:
        """As `_demand_program`; an error of the nil that `io.popen` returns then tells why."""
        try:
            return self._demand_program(command, asker)
        except Refusal as refused:
            self.denied = refused.message
            raise

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
        self._kernel.show(kind.decode(), content, [] if buffers is None else [*buffers.values()])
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

    def _read_line(self) -> tuple[Any, ...]:
        line = self._kernel.read_line()
        return (None if line is None else _bytes(line),)

    def _exit(self, status: Any) -> tuple[Any, ...]:
        if isinstance(status, bool) or status is None:
            status = 0 if status is not False else 1
        if not isinstance(status, (int, float)) or status != status // 1:
            raise refusal("invalid_request", "os.exit takes true, false or an integer")
        self._kernel.exit(int(status) & 0xFF)
        raise Stopped

    def _getenv(self, name: bytes) -> tuple[Any, ...]:
        text = name.decode("utf-8", "replace")
        value = self.environment.get(text)
        if value is not None:
            return (_bytes(value),)
        if text in self.variables or EVERYTHING in self.variables:
            return (None,)
        # Many scripts only ask whether a variable is set: that is no error, and nothing silent either.
        refused = f"os.getenv: reading {text} needs --allow-env={text}"
        if text not in self._told:
            self._told.add(text)
            self._kernel.write("stderr", f"warning: {refused}; it is nil here\n".encode())
        return None, refused.encode()

    def _demand_program(self, command: bytes | None, asker: bytes) -> tuple[Any, ...]:
        """Whether the command could be run; without one, whether anything could."""
        if command is None:
            return (self.programs is not None and self.programs.any,)
        self._program_words(command, asker)
        return (True,)

    def _program_words(self, command: bytes, asker: bytes) -> list[str]:
        programs, text = self.programs, os.fsdecode(command)
        if programs is None and self.asks:
            # Few scripts run a program, and fewer without a permission.
            from llmspell_kernel.scripting.lua.programs import Programs

            programs = self.programs = Programs((), self.files.working_directory, self.environment)
        if programs is None:
            name = "".join(text.split(None, 1)[:1])
            raise refusal("not_found", f"{asker.decode()}: running {name} needs --allow-run={name} (Command blocked)")
        return self._permitted(lambda: programs.words(text, asker.decode()), lambda _, name: programs.allow(name))

    def _run_program(self, command: bytes, asker: bytes, given: bytes, captures: bool) -> tuple[Any, ...]:
        """How the program ended, and what it printed where that is kept; else that goes to the script's own output."""
        words = self._program_words(command, asker)
        assert self.programs is not None
        kept = bytearray()
        limit = self.programs.max_output_bytes

        def on_piece(stream: str, piece: bytes) -> None:
            if stream == "stdout" and captures:
                kept.extend(piece)
                if len(kept) > limit:
                    raise refusal("invalid_request", f"{asker.decode()}: {words[0]} prints more than {limit} bytes")
            else:
                self._kernel.write(stream, piece)

        self._kernel.wait_for_other(True)
        try:
            ended = self.programs.run(words, given, on_piece, self._kernel.stopped)
        except OSError as problem:
            return None, f"{words[0]}: {problem.strerror}".encode(), problem.errno
        finally:
            self._kernel.wait_for_other(False)
        if self._kernel.stopped():
            raise Stopped
        return ended.how.encode(), ended.code, bytes(kept)

    def _read_module(self, path: bytes) -> tuple[Any, ...]:
        source, chunk = self.files.read_module(_path(path))
        self.sources.keep(chunk[1:], source)
        return source, _bytes(chunk)

    def _find_module(self, name: bytes, templates: bytes) -> tuple[Any, ...]:
        try:
            source, chunk, path = self.files.find_module(_path(name), _path(templates))
        except Refusal as refused:
            return None, _bytes(refused.message)
        self.sources.keep(chunk[1:], source)
        return source, None, _bytes(chunk), _bytes(path)

    def _failure_of(self, act: Callable[[], None], path: bytes) -> tuple[Any, ...] | None:
        """What Lua's file functions return where they fail: nil, why, and the system's number; None: all is well."""
        try:
            self._permitted(act, self.files.allow)
        except Refusal as refused:
            self.denied = refused.message
            return None, _bytes(refused.text), errno.EACCES
        except OSError as problem:
            return None, path + f": {problem.strerror}".encode(), problem.errno
        return None

    def _permitted(self, act: Callable[[], T], allow: Callable[[str, str], None]) -> T:
        """What `act` gives; where a permission is lacking, after a person who can be asked has granted it."""
        while True:
            try:
                return act()
            except Denied as denied:
                if not self.asks or not self._granted(denied):
                    raise
                allow(denied.kind, denied.name)

    def _granted(self, denied: Denied) -> bool:
        asked = {"action": "permit", "permission": denied.kind, "name": denied.name}
        number = self._kernel.open("tool_request", asked)
        while (event := self._kernel.next_event(number))[0] != "reply":
            pass
        return bool(event[1].get("granted"))

    def _open_file(self, path: bytes, mode: bytes, asker: bytes) -> tuple[Any, ...]:
        """A path under which Lua can open the very file that was found, until `release_file`."""
        self._release_file()
        name = _path(path)
        failed = self._failure_of(lambda: self._hold(self.files.open(name, mode.decode(), asker.decode())), path)
        return failed or (f"{_DESCRIPTORS}/{self._held}".encode(),)

    def _release_file(self) -> tuple[Any, ...]:
        if self._held is not None:
            os.close(self._held)
            self._held = None
        return ()

    def _hold(self, descriptor: int) -> None:
        self._held = descriptor

    def _remove(self, path: bytes) -> tuple[Any, ...]:
        return self._failure_of(lambda: self.files.remove(_path(path)), path) or (True,)

    def _rename(self, old: bytes, new: bytes) -> tuple[Any, ...]:
        return self._failure_of(lambda: self.files.rename(_path(old), _path(new)), old) or (True,)

    def _temporary_name(self) -> tuple[Any, ...]:
        return (_bytes(self.files.temporary_name()),)

    def _json_parse(self, text: bytes) -> tuple[Any, ...]:
        return (parse(text, self.border),)

    def _json_stringify(self, value: Any, indent: float | None = None) -> tuple[Any, ...]:
        return (stringify(value, indent, self.border),)

    def _nearest(self, name: bytes, names: Any) -> tuple[Any, ...]:
        # Only for an error that is shown anyway.
        from llmspell_protocol.model_options import meant_by

        found = meant_by(name.decode("utf-8", "replace"), [one.decode() for one in names.values()])
        return (None if found is None else found.encode(),)

    def _schema_of_fields(self, text: bytes, where: bytes) -> tuple[Any, ...]:
        from llmspell_kernel.scripting.lua.short_schema import read

        return (self.border.to_lua(read(text, where)),)

    def _parameters_of_schema(self, schema: Any) -> tuple[Any, ...]:
        # Only for who asks what a tool takes.
        from llmspell_protocol.tools.parameters import parameters_of

        # A table of Lua's has no order.
        found = sorted(parameters_of(self.border.to_python(schema)), key=lambda one: (not one.required, one.name))
        return (self.border.to_lua([one.as_content() for one in found]),)

    def _unpack_vectors(self, data: bytes, dimensions: int) -> tuple[Any, ...]:
        numbers = memoryview(data).cast("f").tolist()
        return (self.border.to_lua([numbers[at : at + dimensions] for at in range(0, len(numbers), dimensions)]),)

    def _hash(self, text: bytes, algorithm: bytes) -> tuple[Any, ...]:
        import hashlib

        name = algorithm.decode("utf-8", "replace").lower().replace("-", "")
        if name not in ("sha256", "sha1", "sha512", "sha384", "md5"):
            raise refusal("invalid_request", f"Utils.hash knows sha256, sha384, sha512, sha1 and md5, not '{name}'")
        return (hashlib.new(name, text, usedforsecurity=False).hexdigest().encode(),)

    def _uuid(self) -> tuple[Any, ...]:
        import uuid

        return (str(uuid.uuid4()).encode(),)

    def _now_ms(self) -> tuple[Any, ...]:
        return (time.time_ns() // 1_000_000,)

    def _precise_ms(self) -> tuple[Any, ...]:
        return (time.perf_counter() * 1000,)

    def _timestamp(self) -> tuple[Any, ...]:
        seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        return (f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z".encode(),)

    def _clock_text(self) -> tuple[Any, ...]:
        return (time.strftime("%Y-%m-%d %H:%M:%S").encode(),)

    def _to_base64(self, data: bytes) -> tuple[Any, ...]:
        import binascii

        return (binascii.b2a_base64(data, newline=False),)

    def _from_base64(self, text: bytes) -> tuple[Any, ...]:
        import binascii

        return (binascii.a2b_base64(text),)

    def _read_own(self, file: bytes) -> tuple[Any, ...]:
        """The text of a file of globals that is read when it is first needed."""
        with open(f"{os.path.dirname(__file__)}/globals/{file.decode()}", "rb") as opened:
            return (opened.read(),)

    def _memory(self) -> tuple[Any, ...]:
        """Bytes that the Lua state holds, and those of this process in memory."""
        return self._runtime.get_memory_used(total=True), resident_bytes()

    def _source_line(self, script: bytes, line: int) -> tuple[Any, ...]:
        found = self.sources.line(script.decode("utf-8", "replace"), line)
        return (None if found is None else _bytes(found),)

    def _matches(self, pattern: bytes, text: bytes) -> tuple[Any, ...]:
        """Whether a regular expression fits a text from its beginning to its end; nil where it is none."""
        # Few scripts filter their messages that way.
        import re

        try:
            return (re.fullmatch(pattern.decode("utf-8", "replace"), text.decode("utf-8", "replace")) is not None,)
        except re.error:
            return (None,)

    def _unix_seconds(self, text: bytes) -> tuple[Any, ...]:
        from datetime import datetime

        try:
            return (int(datetime.fromisoformat(text.decode()).timestamp()),)
        except (ValueError, OverflowError):
            # What a server calls a date is its own affair.
            return (None,)


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that may have been meant; None where none is near."""
    # Only for an error that is shown anyway; the import costs milliseconds.
    from difflib import get_close_matches

    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None


def _path(path: bytes) -> str:
    return os.fsdecode(path)


def _bytes(text: str) -> bytes:
    """The text for Lua; a path that is no UTF-8 gets its own bytes back, any other half of a character is U+FFFD."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

"""What a script reaches outside of its state: files, modules, programs, environment variables, by permission."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llmspell_kernel.scripting.lua.files import EVERYTHING, Files
from llmspell_kernel.scripting.lua.guard import Stopped, lua_text
from llmspell_kernel.scripting.lua.refusals import Denied, Refusal, refusal
from llmspell_kernel.scripting.lua.sources import Sources

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.host import Kernel
    from llmspell_kernel.scripting.lua.programs import Programs

T = TypeVar("T")

_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


class Lent(NamedTuple):
    """What is within reach of something that runs."""

    files: Files
    environment: Mapping[str, str]
    variables: Sequence[str]
    """The names of variables that may be read; `*` is all."""
    programs: Programs | None
    asks: bool
    """Whether a person can be asked for a permission that the script lacks."""


@cache
def nothing() -> Lent:
    """What is within reach of what was granted nothing."""
    return Lent(Files(), {}, (), None, False)


class Reach:
    """The functions of one runtime; what they may reach changes with each execution, and ends with it."""

    NAMES = (
        "getenv",
        "admit_program",
        "run_program",
        "read_module",
        "find_module",
        "open_file",
        "release_file",
        "remove",
        "rename",
        "temporary_name",
    )

    def __init__(self, kernel: Kernel, sources: Sources) -> None:
        self.files = Files()
        self.environment: Mapping[str, str] = {}
        self.variables: Sequence[str] = ()
        """The names of variables that may be read; `*` is all."""
        self.programs: Programs | None = None
        self.asks = False
        """Whether a person can be asked for a permission that the script lacks."""
        self.denied: str | None = None
        """What the last file function that gave nil would have needed: scripts that go on with the nil lose it."""
        self.sources = sources
        self.last = nothing()
        """What the execution that began last could reach: for functions of its script's that are called later."""
        self._told: set[str] = set()
        self._held: int | None = None
        self._kernel = kernel

    @property
    def lent(self) -> Lent:
        """What is within reach now."""
        return Lent(self.files, self.environment, self.variables, self.programs, self.asks)

    @lent.setter
    def lent(self, wanted: Lent) -> None:
        self.files, self.environment, self.variables, self.programs, self.asks = wanted
        self.denied = None

    @contextmanager
    def lending(self, wanted: Lent) -> Iterator[None]:
        """The block reaches this, and what is around it has its own back behind it."""
        before, self.lent = self.lent, wanted
        try:
            yield
        finally:
            self.lent = before

    def getenv(self, name: bytes) -> tuple[Any, ...]:
        text = name.decode("utf-8", "replace")
        value = self.environment.get(text)
        if value is not None:
            return (lua_text(value),)
        if text in self.variables or EVERYTHING in self.variables:
            return (None,)
        # Many scripts only ask whether a variable is set: that is no error, and nothing silent either.
        refused = f"os.getenv: reading {text} needs --allow-env={text}"
        if text not in self._told:
            self._told.add(text)
            self._kernel.write("stderr", f"warning: {refused}; it is nil here\n".encode())
        return None, refused.encode()

    def admit_program(self, command: bytes | None, asker: bytes) -> tuple[Any, ...]:
        """As `_demand_program`; an error of the nil that `io.popen` returns then tells why."""
        try:
            return self._demand_program(command, asker)
        except Refusal as refused:
            self.denied = refused.message
            raise

    def run_program(self, command: bytes, asker: bytes, given: bytes, captures: bool) -> tuple[Any, ...]:
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

    def read_module(self, path: bytes) -> tuple[Any, ...]:
        source, chunk = self.files.read_module(_path(path))
        self.sources.keep(chunk[1:], source, self.files.located(_path(path)))
        return source, lua_text(chunk)

    def find_module(self, name: bytes, templates: bytes) -> tuple[Any, ...]:
        try:
            source, chunk, path = self.files.find_module(_path(name), _path(templates))
        except Refusal as refused:
            return None, lua_text(refused.message)
        self.sources.keep(chunk[1:], source, self.files.located(path))
        return source, None, lua_text(chunk), lua_text(path)

    def open_file(self, path: bytes, mode: bytes, asker: bytes) -> tuple[Any, ...]:
        """A path under which Lua can open the very file that was found, until `release_file`."""
        self.release_file()
        name = _path(path)
        failed = self._failure_of(lambda: self._hold(self.files.open(name, mode.decode(), asker.decode())), path)
        return failed or (f"{_DESCRIPTORS}/{self._held}".encode(),)

    def release_file(self) -> tuple[Any, ...]:
        if self._held is not None:
            os.close(self._held)
            self._held = None
        return ()

    def remove(self, path: bytes) -> tuple[Any, ...]:
        return self._failure_of(lambda: self.files.remove(_path(path)), path) or (True,)

    def rename(self, old: bytes, new: bytes) -> tuple[Any, ...]:
        return self._failure_of(lambda: self.files.rename(_path(old), _path(new)), old) or (True,)

    def temporary_name(self) -> tuple[Any, ...]:
        return (lua_text(self.files.temporary_name()),)

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

    def _failure_of(self, act: Callable[[], None], path: bytes) -> tuple[Any, ...] | None:
        """What Lua's file functions return where they fail: nil, why, and the system's number; None: all is well."""
        try:
            self._permitted(act, self.files.allow)
        except Refusal as refused:
            self.denied = refused.message
            return None, lua_text(refused.text), errno.EACCES
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

    def _hold(self, descriptor: int) -> None:
        self._held = descriptor


def _path(path: bytes) -> str:
    return os.fsdecode(path)

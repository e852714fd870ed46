"""One Lua state with our globals in it: compiles, runs and stops scripts. Knows no frames and no pipe."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lupa.lua54 import LuaError, LuaRuntime

from llmspell_kernel.scripting.lua.convert import NotConvertible, name_only, refuse
from llmspell_kernel.scripting.lua.files import Files, without_shebang
from llmspell_kernel.scripting.lua.global_files import (
    ALSO,
    FUNCTIONS,
    GLOBALS,
    GROUND,
    LATE_GLOBALS,
    LATE_TABLES,
    OF_RAG,
    OF_SESSIONS,
)
from llmspell_kernel.scripting.lua.guard import guarded
from llmspell_kernel.scripting.lua.host import MAX_SHOWN_BYTES, Host, Kernel
from llmspell_kernel.scripting.lua.reach import Lent
from llmspell_kernel.scripting.lua.value_functions import nearest

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.live import LiveValues
    from llmspell_kernel.scripting.lua.programs import Programs

_HERE = os.path.dirname(__file__)
_OF_CELLS = ("In", "Out", "_", "__", "___")
"""What earlier cells were and gave (`results.lua`)."""
_OURS = b"=[llmspell]"
_MISSING = re.compile(r"nil value \((global|field|method) '(\w+)'\)")
_OF_A_NIL = re.compile(r"a nil value|got nil\b|got no value")

MAX_NAME_BYTES = 59
"""Lua shortens longer chunk names in messages (LUA_IDSIZE)."""


class ScriptFailure(Exception):
    """A script ended in an error: Lua's message, where, that line's text, and the script's own lines of the traceback.

    `kind` is `error`, `syntax`, `memory`, `stopped` or `not_found`; `cause` the failed request's error content, when
    that is what stayed uncaught; `hint` what to do, in terms of what the script could reach when it failed.
    """

    def __init__(
        self,
        message: str,
        script: str | None = None,
        line: int | None = None,
        traceback: Sequence[str] = (),
        kind: str = "error",
        cause: Mapping[str, Any] | None = None,
        source_line: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.script = script
        self.line = line
        self.traceback = traceback
        self.kind = kind
        self.cause = cause
        self.source_line = source_line
        self.hint = hint


class Value:
    """A script's first return value as plain data; and all of them as a person reads them (None: there are none).

    `problem` says why it has no form as data; `bundle` has its forms by MIME type where there are more; `count` is how
    many values the text shows, and `first` the text of the first one alone.
    """

    bundle: dict[str, Any] | None = None
    count = 1

    def __init__(self, data: Any, text: str | None, problem: str | None = None) -> None:
        self.data = data
        self.text = text
        self.first = text
        self.problem = problem


class Sandbox:
    """A Lua state for one context; everything runs on the calling thread."""

    def __init__(
        self, kernel: Kernel, *, stdlib: str, max_memory_bytes: int, sessions: bool = True, rag: bool = True
    ) -> None:
        self._kernel = kernel
        self._left_out = frozenset({*(() if sessions else OF_SESSIONS), *(() if rag else OF_RAG)})
        self._runtime = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            max_memory=max_memory_bytes,
            attribute_filter=_no_attributes,
        )
        self.host = Host(kernel, self._runtime, max_memory_bytes)
        self._runtime.set_max_memory(0)
        self._core: dict[str, Any] = {}
        """What Lua's side offers to ours. Kept here: while a coroutine waits for us, lupa reads no table of Lua's."""
        self._functions: Any = None
        """The table of our functions that the Lua files have."""
        self._add_globals: list[tuple[str, Any]] = []
        self._stdlib: Any = None
        self._display: Any = None
        self._load_own_files()
        self._level = stdlib.encode()
        self._environment = self._runtime.table()
        self._fill()

    def prepare(
        self,
        *,
        files: Files,
        environment: Mapping[str, str],
        variables: Sequence[str] = (),
        programs: Programs | None = None,
        asks: bool = False,
        payloads: bool = False,
        has_frontend: bool = False,
    ) -> None:
        """What the next execution may use: its files, the variables that it may read, and the programs that it may run.

        `environment` has the variables that there are; of those in `variables` that have none a script is told nil.
        With `asks` a person can be asked for a permission that is lacking; with `has_frontend` what is shown may be
        updated and clicked; with `payloads` the frontend does what the cell asks for when it has ended.
        """
        self.host.frontend = has_frontend
        self.host.payloads = {} if payloads else None
        reach = self.host.reach
        reach.lent = reach.last = Lent(files, environment, variables, programs, asks)
        package = self._environment[b"package"]
        if package is not None:
            package[b"path"] = files.search_path.encode()

    def set_arguments(self, name: str, words: Sequence[str]) -> None:
        """Sets ARGS and arg."""
        self._core["set_arguments"](self._environment, name.encode(), self.host.border.to_lua(list(words)))

    def execute(
        self,
        source: str,
        name: str,
        words: Sequence[str] = (),
        *,
        shows_value: bool = False,
        is_rich: bool = False,
        number: int = 0,
        path: str | None = None,
    ) -> Value:
        """Runs a chunk to its end and returns its first value.

        With `shows_value` a last statement that is an expression is what it returns; with `is_rich` in all its forms.
        With a `number` code and value are found later, as `In[number]`, `Out[number]` and `_`. `path` is its file's.

        Raises:
            ScriptFailure: it doesn't compile, raises, or was stopped (then `kind` is `stopped`).
        """
        text = without_shebang(source.encode())
        # A long cell takes a while to be read, and can be stopped meanwhile.
        full_name = chunk_name(name)
        self.host.sources.keep(full_name[1:].decode(), text, path)
        chunk = self._run(self._core["compile"], text, full_name, self._environment, shows_value)
        if isinstance(chunk, bytes):
            raise self._syntax_failure(chunk)
        arguments = [word.encode() for word in words]
        value, texts, count = self._core["values_of"](self._run(chunk, *arguments))
        flush = self._core["flush_files"]
        flush()
        if number:
            self._note(number, text, value)
        shown = self._value(value)
        if shows_value and texts is not None:
            shown.text, shown.count = texts.decode("utf-8", "replace"), count
        if is_rich and shown.text is not None and self._core["is_rich"](value):
            # Methods of the script's own: they are stopped and limited as it is.
            forms = self._run(self._core["rich_value"], value)
            shown.bundle = None if forms is None else self._forms(forms)
        return shown

    def _forms(self, forms: Any) -> dict[str, Any] | None:
        try:
            bundle: dict[str, Any] = self.host.border.to_python(forms)
        except NotConvertible as problem:
            self._kernel.write("stderr", f"warning: the value is shown as text: {problem}\n".encode())
            return None
        size = sum(len(form) for form in bundle["data"].values() if isinstance(form, str))
        if size > MAX_SHOWN_BYTES:
            told = f"warning: the value is shown as text: its other forms have {size / (1 << 20):.1f} MiB\n"
            self._kernel.write("stderr", told.encode())
            return None
        return {"data": bundle["data"], "metadata": bundle.get("metadata") or {}}

    def _note(self, number: int, code: bytes, value: Any) -> None:
        """Keeps what a cell was and gave for later ones; no code of the script's runs for it."""
        note = self._core.get("note_result")
        if note is None:
            # Few scripts are cells of a notebook.
            note = self._core["note_result"] = self._run(self._core["module"], b"results.lua")
        note(self._environment, number, code, value)

    def evaluate(self, expression: str) -> Value:
        """The value of one expression in this context; fails as `execute` does."""
        return self.execute(f"return {expression}", "expression")

    def call(self, function: Any, arguments: Sequence[Any], opaque: Callable[[Any, str], Any] = refuse) -> Any:
        """Calls a function of the script's with plain values; its first result as plain data (`Border.to_python`)."""
        value = self._run(function, *(self.host.border.to_lua(argument) for argument in arguments))
        return self.host.border.to_python(value, opaque)

    def evaluator(self) -> Any:
        """The function that evaluates expressions of workflows."""
        return self._run(self._core["module"], b"workflows/expressions.lua")

    def is_complete(self, source: str) -> str:
        """`complete`, `incomplete` or `invalid`."""
        status: bytes = self._core["is_complete"](without_shebang(source.encode()))
        return status.decode()

    @property
    def live(self) -> LiveValues:
        """The values that there are, for those who ask about code."""
        from llmspell_kernel.scripting.lua.live import LiveValues

        return LiveValues(self._core, self._environment)

    def _hint(self, message: str, cause: Mapping[str, Any] | None) -> str | None:
        """The failed request's own; else what the use of a nil may have meant: another name, or what was denied."""
        if cause is not None and cause.get("hint"):
            return str(cause["hint"])
        return self._name_meant(message) or (self.host.reach.denied if _OF_A_NIL.search(message) else None)

    def _name_meant(self, message: str) -> str | None:
        """The global, field or method for the one that doesn't exist."""
        used = _MISSING.search(message)
        if used is None:
            return None
        what, name = used.groups()
        if what == "global":
            level = _LEVEL_OF.get(name)
            if name in OF_SESSIONS:
                return f"{name} needs runtime.sessions.enabled = true: llmspell -p sessions …"
            if name in OF_RAG:
                return f"{name} needs rag.enabled = true: llmspell config set rag.enabled true, or -p rag-dev"
            if level is not None:
                return f"'{name}' needs engines.lua.stdlib = \"{level}\" or more"
            names = [key.decode("utf-8", "replace") for key in self._core["global_names"](self._environment).values()]
        else:
            # Only for an error that is shown anyway.
            from llmspell_kernel.scripting.lua.reference import sections

            names = [field for one in sections().values() for field, entry in one.fields.items() if entry.call]
        found = nearest(name, names)
        return f"did you mean '{found}'?" if found else None

    def load_debugger(
        self, functions: Mapping[str, Callable[..., tuple[Any, ...]]], plain: Mapping[str, Callable[..., Any]]
    ) -> Sequence[Any]:
        """The debugger's functions of Lua's (`debugger/engine.lua`), which may call these; called once."""
        for name, function in functions.items():
            self._functions[name.encode()] = guarded(function)
        for name, function in plain.items():
            self._functions[name.encode()] = function
        names = self._runtime.table()
        self._stdlib(names, self._level)
        for name in (*GLOBALS, *LATE_GLOBALS, *FUNCTIONS, *ALSO, "ARGS", "arg", *_OF_CELLS):
            names[name.encode()] = True
        start = self._core["module"](b"debugger/engine.lua")
        found: Sequence[Any] = start(self._environment, names)
        return found

    def _load_own_files(self) -> None:
        load = self._runtime.globals()[b"load"]
        host = self._functions = self._runtime.table_from(
            {name.encode(): fn for name, fn in self.host.functions().items()}
        )
        values: dict[str, Any] = {}
        argument: Any = host
        names = [*GROUND, *(f"globals/{file}" for files in GLOBALS.values() for file in files), "globals/args.lua"]
        for name in names:
            with open(f"{_HERE}/{name}", "rb") as file:
                chunk = load(file.read(), _OURS, b"t")
            if isinstance(chunk, tuple):
                raise RuntimeError(f"{name}: {chunk[1].decode()}")
            values[name] = chunk(argument)
            if name == "core.lua":
                argument = values[name]
        self._core = {key.decode(): value for key, value in argument.items()}
        self._stdlib, self._display = values["stdlib.lua"], values["display.lua"]
        self._add_globals = [(name, values[f"globals/{files[-1]}"]) for name, files in GLOBALS.items()]
        for name, (part, functions) in LATE_GLOBALS.items():
            if name in self._left_out:
                continue
            table = LATE_TABLES.get(name, "").encode()
            self._add_globals.append((name, self._core["late_global"](part.encode(), functions.encode(), table)))

    def _fill(self) -> None:
        self._stdlib(self._environment, self._level)
        for name, value in self._add_globals:
            self._environment[name.encode()] = value
        for name, own in FUNCTIONS.items():
            self._environment[name.encode()] = self._core[own]
        for name, of in ALSO.items():
            self._environment[name.encode()] = self._environment[of.encode()]
        self.set_arguments("", ())

    def _run(self, function: Any, *arguments: Any) -> Any:
        try:
            ok, value = self._core["run"](function, *arguments)
        except LuaError:
            ok, value = False, None
        finally:
            self._runtime.set_max_memory(0)
        if self._kernel.stopped():
            # What is around this call may have to stop as well; it does so when it gets its turn again.
            self._kernel.clear_stop()
            self._core["rearm"]()
            raise self._failure("stopped")
        if not ok:
            raise self._failure("error")
        return value

    def _failure(self, kind: str) -> ScriptFailure:
        message, script, line, trace = self._core["failure"]()
        text = (message or b"unknown error").decode("utf-8", "replace")
        cause = None
        if self.host.last_refusal is not None and self.host.last_refusal[0] == text:
            cause = self.host.last_refusal[1].content
        if kind == "error" and text.endswith("not enough memory"):
            kind = "memory"
        name = script.decode("utf-8", "replace") if script is not None else None
        if name is not None and not text.startswith(f"{name}:") and kind == "error":
            text = f"{name}:{line}: {text}"
        lines = self._core["clean_trace"](trace).decode("utf-8", "replace").split("\n") if trace is not None else []
        frames = [entry.strip() for entry in lines if entry.strip() not in ("", "stack traceback:")]
        # An error of a coroutine's is raised again where that was resumed, but comes from where it says.
        name, line = self.host.sources.position(text) or (name, line)
        hint = self._hint(text, cause) if kind == "error" else None
        return ScriptFailure(text, name, line, frames, kind, cause, self.host.sources.line(name, line), hint)

    def _syntax_failure(self, problem: bytes) -> ScriptFailure:
        text = problem.decode("utf-8", "replace")
        script, line = self.host.sources.position(text) or (None, None)
        return ScriptFailure(text, script, line, kind="syntax", source_line=self.host.sources.line(script, line))

    def _value(self, value: Any) -> Value:
        if value is None:
            return Value(None, None)
        text: bytes | None = self._display(value)
        if text is None:
            return Value(None, None)
        try:
            return Value(self.host.border.to_python(value, name_only), text.decode("utf-8", "replace"))
        except NotConvertible as problem:
            return Value(None, text.decode("utf-8", "replace"), str(problem))


_LEVEL_OF = {
    **dict.fromkeys(("string", "table", "math", "utf8", "coroutine", "os", "io"), "Basic"),
    **dict.fromkeys(("load", "require", "dofile", "loadfile", "package", "collectgarbage", "debug"), "Standard"),
    **dict.fromkeys(("input", "getpass"), "Standard"),
}


def chunk_name(name: str) -> bytes:
    """The name under which Lua reports a script's lines: one line, short enough to be shown whole."""
    plain = " ".join(name.split()) or "script"
    encoded = plain.encode()
    if len(encoded) > MAX_NAME_BYTES:
        encoded = "…".encode() + encoded[-(MAX_NAME_BYTES - 3) :].decode("utf-8", "ignore").encode()
    return b"@" + encoded


def _no_attributes(_value: object, _name: object, _setting: bool) -> str:
    raise AttributeError("Python objects have no attributes here")

"""The repl's own commands, which begin with a dot: each takes its words and gives the text to show.

Knows the session, not how a text is shown.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llmspell_cli.repl.script_context import ScriptContext, is_name
from llmspell_cli.repl.session_file import SavedSession, load, save
from llmspell_cli.session import Content
from llmspell_cli.terminal.history_file import HistoryFile
from llmspell_cli.terminal.input_text import file_text
from llmspell_cli.terminal.text import columns, duration, home_path, properties, size
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.user_home import expanded_user

_COMMAND = re.compile(r"\.[A-Za-z?]|(db|debug):\s*([A-Za-z]+(\s+[^(\s].*)?)?\Z", re.DOTALL)
DEBUGGER_WORDS = ("db:", "debug:")
_WORDS = {"exit": ".exit", "quit": ".exit", "help": ".help"}
_SHOWN_CHARACTERS = 60
CLEAR = "\x1b[2J\x1b[H"
"""Clears a terminal's screen."""

HELP = (
    (".help, .h, .?", "this list (help too)"),
    (".exit, .quit, .q", "leave (exit, quit and Ctrl+D too)"),
    (".clear, .cls", "clear the screen"),
    (".save FILE", "write the session (inputs, variables) as JSON"),
    (".load FILE", "read a session"),
    (".history, .hist", "the inputs, numbered"),
    (".clear-history", "forget them, those of earlier sessions too"),
    (".variables, .vars", "variables with type and value"),
    (".set NAME VALUE", "set a variable; VALUE is JSON, or a text as it stands"),
    (".unset NAME", "take a variable away"),
    (".cd [DIR]", "change the directory, to the home without DIR"),
    (".pwd", "show the directory"),
    (".ls [DIR]", "list a directory"),
    (".info", "uptime, executions, memory, kernel, mode"),
    (".reset", "fresh script state"),
    (".run SCRIPT [ARGS...]", "run a file here"),
    (".perf [on|off]", "show the time after each input"),
    (".models", "installed models"),
    (".use MODEL", "default model of the session"),
    ("db: COMMAND", "the debugger: db: break FILE:LINE; db: help lists its commands"),
)

FILE_COMMANDS = (".load", ".save", ".run", ".cd", ".ls")
"""Commands whose words name files."""


class Leave(Exception):
    """The user leaves the repl (`.exit`)."""


class UnknownCommand(InvalidRequest):
    """A word with a dot that is not a command."""


class Done(NamedTuple):
    """What a command has to show; `reply` when it ran code."""

    text: str = ""
    reply: Content | None = None


class Journal:
    """What happened in this session: its inputs, how many ran, since when; and whether times are shown."""

    def __init__(self) -> None:
        self.inputs: list[str] = []
        self.executions = 0
        self.started = time.monotonic()
        self.timed = False


def is_command(text: str) -> bool:
    """Whether an input is for the repl itself. `.5` and `...` are Lua, and so is a call like `db:query()`."""
    return _COMMAND.match(text) is not None


def plain_word(text: str) -> str | None:
    """The word of an input that is `exit`, `quit` or `help` alone, or a call of it: code only where it has a value."""
    word = text.strip().removesuffix("()")
    return word if word in _WORDS else None


class DotCommands:
    """Runs one command at a time. `on_output` shows what scripts print meanwhile; `debug` obeys the debugger's."""

    def __init__(
        self,
        context: ScriptContext,
        journal: Journal,
        history: HistoryFile | None,
        *,
        mode: str,
        on_output: Callable[[Content], None],
        debug: Callable[[str], str],
    ) -> None:
        self._context = context
        self._journal = journal
        self._history = history
        self._mode = mode
        self._on_output = on_output
        self._debug = debug
        self._commands: dict[str, Callable[[str], Done]] = {
            **dict.fromkeys((".help", ".h", ".?"), self._help),
            **dict.fromkeys((".exit", ".quit", ".q"), self._exit),
            **dict.fromkeys((".clear", ".cls"), self._clear),
            ".save": self._save,
            ".load": self._load,
            **dict.fromkeys((".history", ".hist"), self._show_history),
            ".clear-history": self._clear_history,
            **dict.fromkeys((".variables", ".vars"), self._variables),
            ".set": self._set,
            ".unset": self._unset,
            ".cd": self._cd,
            ".pwd": self._pwd,
            ".ls": self._ls,
            ".info": self._info,
            ".reset": self._reset,
            ".run": self._run,
            ".perf": self._perf,
            ".models": self._models,
            ".use": self._use,
        }

    @property
    def names(self) -> Sequence[str]:
        """Every spelling of every command."""
        return tuple(self._commands)

    def obey(self, text: str) -> Done:
        """Runs the command in an input.

        Raises:
            Leave: it was `.exit`.
            UnknownCommand: there is no such command.
            LlmspellError: it failed.
        """
        if text.lstrip().startswith(DEBUGGER_WORDS):
            return Done(self._debug("help" if text.strip() in DEBUGGER_WORDS else text))
        plain = plain_word(text)
        word, _, rest = (_WORDS[plain] if plain else text.strip()).partition(" ")
        command = self._commands.get(word)
        if command is None:
            raise UnknownCommand(f"Unknown command {word}, see .help")
        return command(rest.strip())

    def _help(self, _rest: str) -> Done:
        return Done("\n".join(columns(HELP)))

    def _exit(self, _rest: str) -> Done:
        raise Leave

    def _clear(self, _rest: str) -> Done:
        return Done(CLEAR if sys.stdout.isatty() else "")

    def _save(self, rest: str) -> Done:
        path = _one(rest, ".save session.json")
        variables = self._context.variables()
        values = {one.name: json.loads(one.json) for one in variables if one.json is not None and is_name(one.name)}
        skipped = [one.name for one in variables if one.name not in values]
        save(path, SavedSession(self._journal.inputs, values, skipped, self._context.engine, self._context.model))
        note = f" (without {', '.join(skipped)}, which can't be written)" if skipped else ""
        return Done(f"Session saved to {path}{note}")

    def _load(self, rest: str) -> Done:
        path = _one(rest, ".load session.json")
        saved = load(path)
        self._context.set(saved.variables)
        self._context.model = saved.model or self._context.model
        self._journal.inputs[:] = saved.inputs
        return Done(f"Session loaded from {path}")

    def _show_history(self, _rest: str) -> Done:
        rows = [f"{number:5}  {text}" for number, text in enumerate(self._journal.inputs, 1)]
        return Done("\n".join(row.replace("\n", "\n" + " " * 7) for row in rows) or "No inputs yet")

    def _clear_history(self, _rest: str) -> Done:
        self._journal.inputs.clear()
        if self._history is not None:
            self._history.clear()
        return Done("History cleared")

    def _variables(self, _rest: str) -> Done:
        rows = [(one.name, one.type, _cut(one.json or one.text)) for one in self._context.variables()]
        return Done("\n".join(columns(rows)) or "No variables")

    def _set(self, rest: str) -> Done:
        name, _, value = rest.partition(" ")
        value = value.strip()
        if not value:
            raise InvalidRequest("a name and a value are needed", hint=".set answer 42")
        self._context.set({name: _plain(value)})
        return Done(f"Set {name} = {value}")

    def _unset(self, rest: str) -> Done:
        name = _one(rest, ".unset answer")
        self._context.unset(name)
        return Done(f"Unset {name}")

    def _cd(self, rest: str) -> Done:
        words = _words(rest)
        path = expanded_user(words[0] if words else "~", os.environ)
        with _telling_what_fails(path):
            os.chdir(path)
        return self._pwd("")

    def _pwd(self, _rest: str) -> Done:
        return Done(home_path(os.getcwd()))

    def _ls(self, rest: str) -> Done:
        words = _words(rest)
        path = expanded_user(words[0], os.environ) if words else "."
        with _telling_what_fails(path):
            found = sorted(visible(entry.name) + "/" * entry.is_dir() for entry in os.scandir(path))
        return Done("\n".join(name for name in found if not name.startswith(".")))

    def _info(self, _rest: str) -> Done:
        kernel = self._context.about()
        pairs = [
            ("Engine", self._context.engine),
            ("Kernel", f"{kernel['id']} (PID: {kernel['pid']})"),
            ("Mode", self._mode),
            ("Uptime", duration(time.monotonic() - self._journal.started)),
            ("Executions", str(self._journal.executions)),
            ("Memory", f"{size(kernel['metrics']['memory_bytes'])} (kernel)"),
            ("Model", self._context.model or "the kernel's default"),
            ("Directory", home_path(os.getcwd())),
        ]
        return Done("\n".join(properties(pairs)))

    def _reset(self, _rest: str) -> Done:
        self._context.reset()
        return Done("Session reset")

    def _run(self, rest: str) -> Done:
        words = _words(rest)
        if not words:
            raise InvalidRequest("name a script", hint=".run hello.lua")
        path = expanded_user(words[0], os.environ)
        code = file_text(path, missing="Script file not found")
        reply = self._context.run_file(path, code, words[1:], self._on_output)
        return Done(reply={**reply, "result": None, "result_repr": None})

    def _perf(self, rest: str) -> Done:
        if rest not in ("", "on", "off"):
            raise InvalidRequest(f"'{rest}' is neither on nor off", hint=".perf on")
        self._journal.timed = not self._journal.timed if not rest else rest == "on"
        return Done(f"Times are {'shown' if self._journal.timed else 'not shown'}")

    def _models(self, _rest: str) -> Done:
        rows = [(str(model["id"]), str(model["backend"])) for model in self._context.models()]
        return Done("\n".join(columns(rows)) or "No local models found")

    def _use(self, rest: str) -> Done:
        return Done(f"Using {self._context.use(_one(rest, '.use smollm2:135m'))}")


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise InvalidRequest(f"{str(error).lower()}: {rest}") from None


def _one(rest: str, example: str) -> str:
    words = _words(rest)
    if len(words) != 1:
        raise InvalidRequest("one word is needed" if not words else "one word is all it takes", hint=example)
    return words[0]


def _plain(text: str) -> Any:
    try:
        value = json.loads(text)
        # Python reads NaN and numbers without end as well, which JSON does not have.
        json.dumps(value, allow_nan=False)
    except ValueError:
        return text
    return value


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"


@contextmanager
def _telling_what_fails(path: str) -> Iterator[None]:
    """Turns the system's refusal of a directory into an error of ours."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"no such directory: {path}") from None
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}") from None

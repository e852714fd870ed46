"""The kernel's shared script context as the repl uses it: run, ask about code, read and set its variables.

Knows requests and a little Lua; no terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from llmspell_cli.invocation import working_directory
from llmspell_cli.permissions import environment
from llmspell_cli.session import Content, Session, document
from llmspell_protocol.client.sync import OnInput
from llmspell_protocol.engines import DEFAULT_ENGINE
from llmspell_protocol.errors import InvalidRequest, Timeout
from llmspell_protocol.request_options import RequestOptions

ANSWER_S = 1.0
"""How long an input waits for what the kernel knows about it; a kernel that computes may be asked in vain."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMES = "local names = {} for name in pairs(_G) do names[#names + 1] = name end return names"
_RESERVED = re.compile(
    "and|break|do|else|elseif|end|false|for|function|goto|if|in|local|nil|not|or|repeat|return|then|true|until|while"
)
_VARIABLES = r"""
local known, found = {}, {}
for _, name in ipairs(JSON.parse(%s)) do known[name] = true end
local function clean(text)
  local parts, at = {}, 1
  while true do
    local length, bad = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, length and -1 or bad - 1)
    if length then return table.concat(parts) end
    -- What a character that is not whole has begun with goes with it, as in what is printed.
    local _, last = text:find("^[\xE0-\xF4][\x80-\xBF]+", bad)
    parts[#parts + 1], at = "\u{FFFD}", (last or bad) + 1
  end
end
for name, value in pairs(_G) do
  if type(name) == "string" and not known[name] then
    local ok, text = pcall(JSON.stringify, value)
    found[#found + 1] = {
      name = clean(name), type = type(value), text = clean(tostring(value)),
      -- A number without a form in JSON is null there, which would come back as nothing.
      json = ok and text ~= "null" and utf8.len(text) and text or nil,
    }
  end
end
return found
"""
_SET = "for name, value in pairs(JSON.parse(%s)) do _G[name] = value end"


class Variable(NamedTuple):
    """A global of the session: `json` is its value as JSON, None where it has none (a function, say)."""

    name: str
    type: str
    json: str | None
    text: str


class ScriptContext:
    """The shared context of the session's kernel. `model` is the default model of what its scripts start."""

    def __init__(
        self,
        session: Session,
        *,
        engine: str | None,
        on_input: OnInput | None,
        allow: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._session = session
        self._on_input = on_input
        self._allow = allow
        self._known: list[str] | None = None
        self.engine = engine or DEFAULT_ENGINE
        self.model: str | None = None

    def run(self, code: str, on_output: Callable[[Content], None]) -> Content:
        """Runs an input and returns the reply: `result`, `result_repr`, `execution_count`, `duration_ms`, `exit_code`.

        Raises:
            Interrupted: Ctrl-C.
            LlmspellError: it failed; `details.execution_count` is its number.
        """
        return self._execute(code, on_output=on_output, store_history=True)

    def run_file(self, path: str, code: str, words: Sequence[str], on_output: Callable[[Content], None]) -> Content:
        """Runs a file's code here, with its arguments; otherwise as `run`."""
        return self._execute(code, on_output=on_output, name=path, path=os.path.abspath(path), args=list(words))

    def check_engine(self) -> None:
        """Makes sure that the kernel has the engine.

        Raises:
            Unsupported: it has not.
        """
        self._execute("", silent=True)

    def reset(self) -> None:
        """Forgets every variable."""
        self._execute("", silent=True, reset=True)

    def is_incomplete(self, code: str) -> bool:
        """Whether more lines belong to the code; a kernel that can't say in time is taken to mean no."""
        try:
            return self._ask("is_complete_request", {"code": code}).get("status") == "incomplete"
        except Timeout:
            return False

    def complete(self, code: str, position: int) -> tuple[Sequence[str], int]:
        """Names that could stand at the position, and where the text that they replace begins."""
        try:
            reply = self._ask("complete_request", {"code": code, "cursor_pos": position})
        except Timeout:
            return (), position
        return reply["matches"], reply["cursor_start"]

    def variables(self) -> list[Variable]:
        """The globals that scripts have made, by name."""
        found = self._value(_VARIABLES % _quoted(json.dumps(self._names_of_ours())))
        variables = [Variable(one["name"], one["type"], one.get("json"), one["text"]) for one in found or ()]
        return sorted(variables)

    def set(self, values: Mapping[str, Any]) -> None:
        """Sets globals to plain values.

        Raises:
            InvalidRequest: not a valid name.
        """
        for name in values:
            _check_name(name)
        self._value(_SET % _quoted(json.dumps(values)))

    def unset(self, name: str) -> None:
        """Removes a global.

        Raises:
            InvalidRequest: not a valid name.
        """
        self._value(f"{_check_name(name)} = nil")

    def has(self, name: str) -> bool:
        """Whether scripts have made a global of this name."""
        return bool(self._value(f"return rawget(_G, {_quoted(name)}) ~= nil"))

    def about(self) -> Content:
        """The kernel's status."""
        return document(self._session.ask("kernel_request", {"action": "status"}))

    def models(self) -> Sequence[Content]:
        """The installed models."""
        models: Sequence[Content] = self._session.model("list")["models"]
        return models

    def use(self, name: str) -> str:
        """Makes a model the default of the session and returns its whole name.

        Raises:
            ModelNotFound: it is not installed.
        """
        info = self._session.model("info", model=name)
        self.model = f"{info['id']}@{info['backend']}"
        return self.model

    def _names_of_ours(self) -> list[str]:
        """The globals that every script has: those of one that does nothing."""
        if self._known is None:
            alone = RequestOptions(isolated=True)
            reply = self._session.ask("execute_request", {"code": _NAMES}, request_options=alone)
            self._known = sorted(reply.content["result"])
        return self._known

    def _value(self, code: str) -> Any:
        return self._execute(code, silent=True)["result"]

    def _execute(
        self,
        code: str,
        *,
        on_output: Callable[[Content], None] | None = None,
        silent: bool = False,
        store_history: bool = False,
        **options: Any,
    ) -> Content:
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "allow_stdin": self._on_input is not None,
            # The next input is typed in sight of this one's error.
            "stop_on_error": False,
        }
        variables = environment(self._allow)
        if self.model is not None:
            variables.update(MODEL=self.model, MODEL_SPEC=self.model)
        reply = self._session.ask(
            "execute_request",
            content,
            on_delta=on_output,
            on_input=self._on_input,
            request_options=RequestOptions(
                deltas=True,
                engine=self.engine,
                cwd=working_directory(),
                env=variables or None,
                allow=dict(self._allow) or None,
                model=self.model,
                interactive=sys.stdin.isatty() and sys.stdout.isatty(),
                **options,
            ),
        )
        return document(reply)

    def _ask(self, msg_type: str, content: Mapping[str, Any]) -> Content:
        return self._session.client.request(msg_type, content).result(ANSWER_S).content


def is_name(text: str) -> bool:
    """Whether a variable can have this name."""
    return _NAME.match(text) is not None and _RESERVED.fullmatch(text) is None


def _check_name(name: str) -> str:
    if not is_name(name):
        raise InvalidRequest(f"'{name}' is not a name of a variable")
    return name


def _quoted(text: str) -> str:
    """A text as a Lua string; JSON's own escapes mean nothing inside long brackets."""
    level = "="
    while f"]{level}]" in text:
        level += "="
    return f"[{level}[\n{text}]{level}]"

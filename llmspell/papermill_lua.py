"""Lua for papermill: parameters written as a cell (`papermill -p`), and those of a notebook listed (`--help-notebook`).

papermill has no entry point for translators. It loads those of `papermill.engine` when it is imported, before any
notebook is read, so that our engine is where Lua is made known: loading this module does it, and nothing but papermill
loads it. The engine itself is papermill's own, under the name `llmspell`; no one has to choose it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from papermill.engines import NBClientEngine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators
from pygments.lexers import LuaLexer
from pygments.token import Comment, Keyword, Name, Token

from llmspell.lua_literals import lua_assignment, lua_literal

_OPENING, _CLOSING = frozenset("{(["), frozenset("})]")
_BLOCKS = frozenset({"function", "do", "then", "repeat"})
_ENDS = frozenset({"end", "until", "elseif"})
_UNKNOWN = "None"


class LuaTranslator(Translator):  # type: ignore[misc]
    """Parameters of a notebook as Lua."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """A Lua expression for a parameter; raises as `lua_literal`."""
        return lua_literal(val)

    @classmethod
    def comment(cls, cmt_str: str) -> str:
        """A comment."""
        return f"-- {cmt_str}".strip()

    @classmethod
    def assign(cls, name: str, str_val: str) -> str:
        """A line that sets a parameter."""
        return lua_assignment(name, str_val)

    @classmethod
    def inspect(cls, parameters_cell: Any) -> list[Parameter]:
        """The parameters that a cell sets: `name = value -- what it is`, each at the beginning of a line."""
        return list(_parameters(parameters_cell["source"]))


class LuaEngine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine; it is here so that papermill finds this module."""


def _parameters(source: str) -> Iterator[Parameter]:
    for tokens in _statements(source):
        words = [(kind, text) for kind, text in tokens if text.strip() and kind not in Comment]
        if words and words[0] == (Keyword.Declaration, "local"):
            words = words[1:]
        if len(words) < 3 or words[0][0] not in Name or words[1][1] != "=":
            continue
        name = words[0][1]
        seen = next(at for at, (_, text) in enumerate(tokens) if text == "=")
        value = "".join(text for kind, text in tokens[seen + 1 :] if kind not in Comment).strip()
        about = " ".join(text.lstrip("-").strip() for kind, text in tokens if kind in Comment)
        yield Parameter(name, _type_of(value), value, about)


def _statements(source: str) -> Iterator[list[tuple[Any, str]]]:
    """The tokens of each line, with those below it that are inside of its brackets and blocks."""
    depth = 0
    line: list[tuple[Any, str]] = []
    for kind, text in LuaLexer().get_tokens(source):
        is_code = kind not in Comment and kind not in Token.Literal
        if is_code:
            depth += sum(mark in _OPENING for mark in text) - sum(mark in _CLOSING for mark in text)
            depth += (text in _BLOCKS) - (text in _ENDS)
        if is_code and "\n" in text and depth <= 0:
            yield line
            line, depth = [], 0
        else:
            line.append((kind, text))
    yield line


def _type_of(value: str) -> str:
    """Lua's name of a literal's type; papermill's word for it where it is no literal."""
    if value in ("true", "false"):
        return "boolean"
    if value == "nil":
        return "nil"
    if value[:1] in ("'", '"') or value.startswith(("[[", "[=")):
        return "string"
    if value.startswith("{"):
        return "table"
    if value.startswith("function"):
        return "function"
    return "number" if value.lstrip("-")[:1].isdigit() else _UNKNOWN


papermill_translators.register("lua", LuaTranslator)

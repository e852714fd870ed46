"""Writes the table of tools that kernel and command line read in place of the tools' code, and the page about them.

python -m generate.tools           writes what has changed
python -m generate.tools --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from llmspell_protocol.content import to_content
from llmspell_protocol.tools.builtin import TABLE
from llmspell_protocol.tools.description import CATEGORIES, ToolDescription
from llmspell_protocol.tools.parameters import Parameter, parameters_of
from llmspell_tools.registry import BUILTIN, builtin_tool

INTRODUCTION = """\
# Tools

Written from the tools' code by `make schemas`. [The guide](../guide/tools.md) tells how tools are called and what they
may touch; `llmspell tool info NAME` shows the same as this page.

A name may be written with `_` for `-` and with capitals. A parameter may have other names, which stand behind *or*.
What a tool needs is what a call may have to be allowed. From a certain level on a person is asked before a model calls
it (`tools.approval`).
"""


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    rows = [to_content(builtin_tool(name).describe()) for name in sorted(BUILTIN)]
    return {TABLE.name: "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"}


def page() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory of the references."""
    tools = [builtin_tool(name).describe() for name in sorted(BUILTIN)]
    return {"tools.md": "\n".join([INTRODUCTION, *_overview(tools), *_by_category(tools)]) + "\n"}


def _overview(tools: list[ToolDescription]) -> Iterator[str]:
    rows = ((f"[{one.name}](#{one.name})", one.category, one.security_level, _cell(one.summary)) for one in tools)
    yield from table(("tool", "category", "level", ""), rows)


def _by_category(tools: list[ToolDescription]) -> Iterator[str]:
    for category in CATEGORIES:
        of_it = [one for one in tools if one.category == category]
        if of_it:
            yield f"\n## Category {category}"
        for one in of_it:
            yield from _tool(one)


def _tool(tool: ToolDescription) -> Iterator[str]:
    yield f"\n### {tool.name}\n"
    yield _escaped(tool.description)
    yield f"\n{_level(tool)}\n"
    parameters = parameters_of(tool.parameters)
    if parameters:
        yield from table(("parameter", "type", ""), (_parameter(one) for one in parameters))
    if tool.result:
        yield f"\nResult: {_code(tool.result)}"
    if tool.example:
        call = f'Tool.execute("{tool.name}", {_lua(tool.example)})'
        yield f"\nExample: {_code(call)}"


def _level(tool: ToolDescription) -> str:
    needs = ", ".join(f"`--allow-{kind}`" for kind in tool.needs)
    said = [f"Level {tool.security_level}", f"needs {needs}" if needs else "needs no permission"]
    if tool.settings:
        said.append("settings " + ", ".join(f"`tools.{name}`" for name in tool.settings))
    return "; ".join(said) + "."


def _parameter(one: Parameter) -> tuple[str, str, str]:
    more = ["required"] if one.required else []
    if one.default not in (None, {}, []):
        more.append(f"default {_code(_json(one.default))}")
    if one.choices:
        more.append("one of " + ", ".join(_code(str(choice)) for choice in one.choices))
    if one.also:
        more.append("or " + ", ".join(_code(name) for name in one.also))
    meaning = _cell(one.description)
    # A bar would end the cell, in code too.
    in_brackets = f"({'; '.join(more)})".replace("|", "\\|") if more else ""
    return f"`{one.name}`", one.type, " ".join(filter(None, [meaning, in_brackets]))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _code(text: str) -> str:
    """The text as code on one line, whatever backticks it has."""
    plain = " ".join(text.split())
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lua(value: Any) -> str:
    """A JSON value as Lua writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return "nil" if value is None else _json(value)


def _key(key: str) -> str:
    return (
        key if key.isidentifier() and key not in ("end", "and", "or", "not", "in", "if", "for") else f"[{_json(key)}]"
    )


FILES = (
    GeneratedFiles(TABLE.parent, rendered),
    GeneratedFiles(ROOT / "docs" / "reference", page),
)

if __name__ == "__main__":
    raise SystemExit(max(files.main(sys.argv[1:]) for files in FILES))

"""The page that documents every command's JSON, read as a schema: what a document has, lacks or has of another type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli-json.md"

_ROW = re.compile(r"\| `(?P<key>[^`]+)` \| (?P<types>[a-z ]+) \|")
_ANY = "*"
_TYPES = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "any": lambda _value: True,
}


@dataclass
class Node:
    """What may stand at one place: scalars of these types, an object with these keys, an array of these elements."""

    types: tuple[str, ...] = ()
    optional: bool = False
    keys: dict[str, Node] = field(default_factory=dict)
    element: Node | None = None


@cache
def schemas() -> dict[str, dict[str, Node]]:
    """Command → name of the document (empty: the plain one; else that of its `event`, or its one key) → its schema."""
    found: dict[str, dict[str, Node]] = {}
    command = name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            command, name = line[3:].strip(), ""
            found[command] = {}
        elif line.startswith("### "):
            name = line[4:].strip()
        elif (row := _ROW.match(line)) is not None:
            _add(found[command].setdefault(name, Node()), row["key"], tuple(row["types"].split(" or ")))
    return found


def _add(node: Node, key: str, types: tuple[str, ...]) -> None:
    for part in key.split("."):
        name, optional = part.replace("[]", "").removesuffix("?"), "?" in part
        node = node.keys.setdefault(name, Node(optional=optional))
        for _ in range(part.count("[]")):
            node.element = node.element or Node()
            node = node.element
    node.types = types


def problems(command: str, document: Any) -> list[str]:
    """What the page doesn't say about a document of this command; nothing if it is as documented."""
    known = schemas().get(command)
    if known is None:
        return [f"docs/reference/cli-json.md has no section '{command}'"]
    only_key = next(iter(document)) if isinstance(document, dict) and len(document) == 1 else None
    name = str(document.get("event", "")) if isinstance(document, dict) else ""
    schema = known.get(name) if name else known.get(only_key or "") or known.get("")
    if schema is None:
        return [f"'{command}' documents no '{name}'"]
    return list(_differences(schema, _without_origin(schema, document), ""))


def _without_origin(schema: Node, document: Any) -> Any:
    """The document without `mode` and `kernel`, which every command that asks a kernel adds, where they are right."""
    if not isinstance(document, dict) or document.get("mode") not in ("embedded", "connected"):
        return document
    is_right = isinstance(document.get("kernel"), str) == (document["mode"] == "connected")
    added = {"mode", "kernel"} - set(schema.keys) if is_right or "kernel" in schema.keys else set()
    return {key: value for key, value in document.items() if key not in added}


def problems_of_stderr(line: Any) -> list[str]:
    """The same for one object on stderr."""
    known = schemas()["Lines on stderr"]
    names = [name for name in known if name in line]
    if len(names) != 1:
        return [f"not exactly one of {', '.join(known)} in {line}"]
    return list(_differences(known[names[0]], line, ""))


def _differences(node: Node, value: Any, path: str) -> Iterator[str]:
    if "any" in node.types:
        return
    if isinstance(value, dict) and node.keys:
        yield from _differences_of_keys(node, value, path)
    elif isinstance(value, list) and node.element is not None:
        for at, element in enumerate(value):
            yield from _differences(node.element, element, f"{path}[{at}]")
    elif not any(_TYPES[name](value) for name in node.types):
        yield f"{path or 'the document'} is {value!r}, documented as {' or '.join(node.types) or 'something else'}"


def _differences_of_keys(node: Node, value: dict[str, Any], path: str) -> Iterator[str]:
    for key in value:
        inner = node.keys.get(key) or node.keys.get(_ANY)
        if inner is None:
            yield f"{path}.{key} is not documented"
        else:
            yield from _differences(inner, value[key], f"{path}.{key}")
    for key, inner in node.keys.items():
        if key not in value and key != _ANY and not inner.optional:
            yield f"{path}.{key} is missing"

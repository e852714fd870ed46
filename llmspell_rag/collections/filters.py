"""Metadata as facts that can be asked for, and filters as SQL. Blocks; inside a caller's transaction.

A fact is a path of keys (`a.b`) and a plain value; of a list it is each of its elements, and the list as a whole.
Numbers are equal by value: 1 is 1.0, and true is not 1.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

_LONGEST = 200
"""Characters of a value that stand in the table; of a longer one its hash does."""


def facts(metadata: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What can be asked for of a document: keys and values."""
    return set(_facts(metadata, ""))


def _facts(metadata: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _facts(value, f"{path}.")
        elif isinstance(value, (list, tuple)):
            yield path, plain(value)
            yield from ((path, plain(one)) for one in value)
        else:
            yield path, plain(value)


def plain(value: Any) -> str:
    """A value as the table has it."""
    text = json.dumps(_whole(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= _LONGEST:
        return text
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _whole(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(one) for one in value]
    return value


def asked(wanted: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A filter as pairs of a key and the values of which one has to be there; the same for the same filter.

    Raises:
        InvalidRequest: a value can't be asked for.
    """
    return tuple(sorted(_asked(wanted, "")))


def _asked(wanted: Mapping[str, Any], above: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, value in wanted.items():
        path = f"{above}{key}"
        try:
            if isinstance(value, Mapping):
                yield from _asked(value, f"{path}.")
            elif isinstance(value, (list, tuple)):
                yield path, tuple(sorted({plain(one) for one in value}))
            else:
                yield path, (plain(value),)
        except (TypeError, ValueError):
            raise InvalidRequest(f"filter '{path}': {type(value).__name__} can't be asked for") from None


def documents_with(place: int, wanted: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, list[Any]]:
    """A query for the numbers of documents that a filter lets through, and its parameters."""
    if not wanted:
        return "SELECT number FROM documents WHERE place = ?", [place]
    parts, parameters = [], []
    for key, values in wanted:
        marks = ",".join("?" * len(values))
        parts.append(f"SELECT document FROM facts WHERE place = ? AND key = ? AND value IN ({marks})")
        parameters += [place, key, *values]
    return " INTERSECT ".join(parts), parameters


def keep_facts(connection: sqlite3.Connection, place: int, document: int, metadata: Mapping[str, Any]) -> None:
    """Writes the facts of a document.

    Raises:
        InvalidRequest: its metadata has what JSON hasn't.
    """
    try:
        found = facts(metadata)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"metadata are texts, numbers, lists and maps: {error}") from None
    connection.executemany(
        "INSERT INTO facts VALUES (?, ?, ?, ?)", [(place, key, value, document) for key, value in sorted(found)]
    )

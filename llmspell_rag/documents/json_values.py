"""JSON and JSON Lines: each record as lines `path: value`, without brackets and quotes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.media_types import JSON_LINES
from llmspell_rag.documents.text import Text
from llmspell_rag.documents.written import Written


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The values. A list's entries are records, and so are the entries of a map, and lines.

    Raises:
        InvalidRequest: it is no text, no JSON, nested too deep, or has no values.
    """
    text, encoding = decoded(source, name, charset)
    written = Written(name)
    title = None
    try:
        if media_type == JSON_LINES:
            for number, line in enumerate(text.split("\n"), start=1):
                if line.strip():
                    written.record("\n".join(_lines(_parsed(line, name, number), "")))
        else:
            value = _parsed(text, name, None)
            if isinstance(value, dict) and isinstance(value.get("title"), str):
                title = value["title"].strip() or None
            for key, part in _parts(value):
                written.record("\n".join(_lines(part, key)))
    except RecursionError:
        raise InvalidRequest(f"{name} is nested too deep", details={"name": name, "reason": "damaged"}) from None
    if not written.length:
        raise InvalidRequest(f"{name} has no values in it", details={"name": name, "reason": "empty"})
    return Text(
        text=written.text,
        media_type=media_type,
        title=title,
        records=written.records,
        metadata={"encoding": encoding, "records": len(written.records)},
    )


def _parsed(text: str, name: str, line: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {line or error.lineno}, column {error.colno}"
        raise InvalidRequest(
            f"{name} is not JSON: {error.msg} ({where})",
            hint="mend it, or give it as text/plain",
            details={"name": name, "reason": "damaged", "line": line or error.lineno},
        ) from None
    except ValueError as error:
        # A number with thousands of digits.
        raise InvalidRequest(f"{name} can't be read: {error}", details={"name": name, "reason": "damaged"}) from None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from (("", one) for one in value)
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, list) and any(isinstance(one, dict) for one in part):
                yield from ((f"{key}[{at}]", one) for at, one in enumerate(part))
            else:
                yield key, part
    else:
        yield "", value


def _lines(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        if value and not any(isinstance(one, (dict, list)) for one in value):
            yield _line(path, ", ".join(_shown(one) for one in value))
        else:
            for at, inner in enumerate(value):
                yield from _lines(inner, f"{path}[{at}]")
    elif value is not None and value != "":
        yield _line(path, _shown(value))


def _line(path: str, shown: str) -> str:
    return f"{path}: {shown}" if path else shown


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

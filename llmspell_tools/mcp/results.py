"""What a server's call gave, as a tool's outcome: texts, structured content, pictures and sounds, resources."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import mcp_types as types

from llmspell_protocol.bounded import UNCOUNTED_BYTES
from llmspell_protocol.bounded_json import load_json
from llmspell_protocol.errors import ToolError
from llmspell_protocol.plain_values import carried
from llmspell_tools.outcome import Outcome

MAX_RESULT_BYTES = 16_000_000


def outcome_of(result: types.CallToolResult, server: str) -> Outcome:
    """The outcome: structured content is the result where there is some, else the text.

    `media` are pictures and sounds; `fields.resources` has what else was given or named, each with its `uri`.

    Raises:
        ToolError: it is too large, or its bytes are no base64.
    """
    _bound(result)
    parts = _Parts()
    for block in result.content:
        parts.take(block)
    text = "\n".join(parts.texts)
    structured = None if result.structured_content is None else carried(result.structured_content)
    found = text if structured is None else structured
    # What is no object stands in one with this key alone.
    wrapped = structured["result"] if isinstance(structured, dict) and structured.keys() == {"result"} else None
    return Outcome(
        operation="",
        result=found,
        output=found if wrapped is None else wrapped,
        text=text or None,
        metadata={"server": server},
        media=tuple(parts.media),
        fields={"resources": parts.resources} if parts.resources else {},
    )


def _bound(result: types.CallToolResult) -> None:
    data = result.model_dump_json(by_alias=True, exclude_none=True).encode("utf-8", "replace")
    if len(data) > MAX_RESULT_BYTES:
        size, most = len(data) / 1e6, MAX_RESULT_BYTES / 1e6
        raise ToolError(
            f"its result has {size:,.1f} MB, and {most:,.0f} MB at most are possible",
            hint="ask for less at once",
            details={"bytes": len(data), "limit_bytes": MAX_RESULT_BYTES},
        )
    if len(data) > UNCOUNTED_BYTES:
        try:
            load_json(data)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"its result can't be carried: {error}") from None


class _Parts:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media: list[Mapping[str, Any]] = []
        self.resources: list[Mapping[str, Any]] = []

    def take(self, block: types.ContentBlock) -> None:
        if isinstance(block, types.TextContent):
            self.texts.append(block.text)
        elif isinstance(block, types.ImageContent):
            self._media("image", block.mime_type, block.data)
        elif isinstance(block, types.AudioContent):
            self._media("audio", block.mime_type, block.data)
        elif isinstance(block, types.ResourceLink):
            self.texts.append(f"{block.title or block.name}: {block.uri}")
            self.resources.append(_present(block, "name", "title", "description", "size"))
        elif isinstance(block, types.EmbeddedResource):
            self._embedded(block.resource)

    def _embedded(self, resource: types.TextResourceContents | types.BlobResourceContents) -> None:
        known = _present(resource)
        if isinstance(resource, types.TextResourceContents):
            self.texts.append(resource.text)
            self.resources.append({**known, "text": resource.text})
            return
        kind = (resource.mime_type or "").partition("/")[0]
        if kind in ("image", "audio", "video"):
            self._media(kind, resource.mime_type or "", resource.blob)
            self.resources.append(known)
        else:
            self.resources.append({**known, "base64": _checked(resource.blob)})

    def _media(self, kind: str, mime_type: str, data: str) -> None:
        form = mime_type.partition("/")[2].partition(";")[0].removeprefix("x-").lower()
        self.media.append({"type": kind, "format": form or "unknown", "base64": _checked(data)})


def _present(of: Any, *names: str) -> dict[str, Any]:
    """The given attributes of a resource, without those that are not set."""
    found = {name: getattr(of, name) for name in ("uri", "mime_type", *names)}
    return {name: str(value) if name == "uri" else value for name, value in found.items() if value is not None}


def _checked(data: str) -> str:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ToolError("its result has a picture, sound or file that is no base64") from None
    return data

"""A page of the web as a document, fetched by the tool that fetches for everyone: its limits hold here too."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_kernel.request import Request
from llmspell_protocol.errors import Busy, InvalidRequest, NotFound, ToolError
from llmspell_protocol.tools.permissions import Permissions

if TYPE_CHECKING:
    from llmspell_kernel.services.tools.service import ToolsService

_TOOL = "http-requester"
_FOUND = range(200, 300)
_ACCEPTED = "text/html, application/xhtml+xml, text/plain;q=0.9, application/pdf;q=0.9, */*;q=0.5"


class Page(NamedTuple):
    """What an address gave, and what kind it says it is."""

    data: bytes
    media_type: str | None


async def fetched(request: Request, tools: ToolsService, permissions: Permissions, url: str) -> Page:
    """The document at an address, by HTTP.

    Raises:
        InvalidRequest: it is no address of the web.
        Forbidden: its host is not allowed.
        NotFound, ToolError: what came is not a document.
        Timeout: as the tool.
    """
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(f"'{url}' is no address of the web", hint="an address begins with https:// or http://")
    wanted = {"input": url, "method": "GET", "headers": {"Accept": _ACCEPTED}}
    try:
        reply = await tools.invoke(request, _TOOL, wanted, permissions, on_progress=_unheard)
    except Busy as error:
        # The others may be files.
        raise ToolError(error.message, hint=error.hint, details=error.details) from None
    if reply.error is not None:
        raise ToolError(reply.error.message)
    result = reply.result
    status = int(result["status_code"])
    if status not in _FOUND:
        kind = NotFound if status in (404, 410) else ToolError
        raise kind(f"{url} answers with {status}", details={"status": status})
    headers = {str(name).lower(): str(value) for name, value in result["headers"].items()}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower() or None
    body = result["body"]
    if result.get("body_encoding") == "base64":
        return Page(base64.b64decode(body), media_type)
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=1)
    return Page(text.encode(), in_utf8(media_type or "text/plain"))


def in_utf8(media_type: str) -> str:
    """A media type of a text that was decoded, whatever encoding it says."""
    return f"{media_type.partition(';')[0].strip()}; charset=utf-8"


def _unheard(_message: str, _figures: Mapping[str, Any]) -> None:
    """The ingest tells how far it is."""

"""`history_request`: earlier cells, of which this kernel keeps none."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_protocol.standard_requests import HistoryRequest


async def history(request: Request) -> Reply:
    """An empty history."""
    standard_content(HistoryRequest, request.msg_type, request.content)
    return Reply({"history": []})

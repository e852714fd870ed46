"""`comm_info_request`: open comms, of which this kernel has none."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_protocol.standard_requests import CommInfoRequest


async def comm_info(request: Request) -> Reply:
    """No comms."""
    standard_content(CommInfoRequest, request.msg_type, request.content)
    return Reply({"comms": {}})

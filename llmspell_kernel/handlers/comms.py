"""Comms that a frontend opens, of which no target is known here: each is closed at once, as Jupyter wants it.

These messages have no reply. What is closed is told on IOPub, where the frontend that opened it listens.
"""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_protocol.standard_requests import CommMessage


async def comm_open(request: Request) -> Reply:
    """The comm's end."""
    opened = standard_content(CommMessage, request.msg_type, request.content)
    request.sink.publish("comm_close", {"comm_id": opened.comm_id, "data": {}})
    return Reply({})


async def comm_said(request: Request) -> Reply:
    """Nothing: a comm that is not open hears nothing and has no end."""
    standard_content(CommMessage, request.msg_type, request.content)
    return Reply({})

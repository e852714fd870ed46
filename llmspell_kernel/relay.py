"""A model's stream on its way to the caller: chunks become progress and deltas. Shared by chats and agents."""

from __future__ import annotations

from llmspell_kernel.request import Content, Request
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatChunk


def relay(request: Request, chunk: ChatChunk, *, stream: bool) -> None:
    """Sends what the chunk holds: loading and prefill as progress, the rest as a delta if the requester wants a stream.

    The result itself is not sent: it is the reply.
    """
    if chunk.loading:
        notice = {} if chunk.notice is None else {"notice": chunk.notice}
        request.progress({"phase": "loading", **notice})
        return
    if chunk.prefill is not None:
        request.progress({"phase": "prefill", **to_content(chunk.prefill)})
        return
    delta: Content = {}
    if chunk.text:
        delta["text"] = chunk.text
    if chunk.reasoning:
        delta["reasoning"] = chunk.reasoning
    if chunk.tool_calls:
        delta["tool_calls"] = to_content(chunk.tool_calls)
    if chunk.tool is not None:
        delta["tool"] = {key: value for key, value in to_content(chunk.tool).items() if value is not None}
    if stream and delta:
        request.delta(delta)
    elif chunk.text:
        # What an error reply shows as the answer so far; a delta would add it by itself.
        request.partial.add("text", chunk.text)

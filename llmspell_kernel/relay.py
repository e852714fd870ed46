"""A model's stream on its way to the caller: chunks become progress and deltas. Shared by chats and agents.

Where a script is run at a terminal, the calls of its agents stand there too, a line each on standard error.
"""

from __future__ import annotations

from llmspell_kernel.request import Content, Request
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatChunk, ToolEvent
from llmspell_protocol.plain_text import shown_name

_SHOWN = 100
"""Characters of a call's arguments in a line."""


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
    if chunk.tool is not None and chunk.tool.phase == "started":
        _show_call(request, chunk.tool)
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


def _show_call(request: Request, event: ToolEvent) -> None:
    root = request.root
    if root is request or not (root.options.isolated and root.options.interactive):
        return
    # Few scripts have agents that call tools.
    import json

    shown = json.dumps(to_content(event.arguments), ensure_ascii=True)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    # Past the request: it is shown, and nothing that the script has printed.
    root.sink.delta({"stream": "stderr", "text": f"Calling {shown_name(event.name)} {shown}\n"})

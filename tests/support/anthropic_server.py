"""What stands in for Anthropic's Messages interface: its documented events, for any request, always the same reply.

It thinks, then says `SAID` up to a stop sequence or `max_tokens`; where a schema is given, the JSON of `CITY`; where
there are tools, it calls the one that it has to, else the first. A prompt that it has seen before counts as cached.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.support.model_server import Act, Asked

SAID = "Hello there, my friend. How do you do on this fine day?"
CITY = '{"ok": true}'


class Messages:
    """Answers one request after the other; for `ModelServer`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, asked: Asked) -> Act:
        """The stream for one request."""
        body = asked.body
        prompt = json.dumps(body["messages"])
        tokens = len(prompt.split())
        known = prompt in self._seen
        self._seen.add(prompt)
        usage = {"input_tokens": 0 if known else tokens, "cache_read_input_tokens": tokens if known else 0}
        events = [_event("message_start", message=_message({**usage, "output_tokens": 1}))]
        events += _block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "I greet."})
        if body.get("tools"):
            name = body.get("tool_choice", {}).get("name", body["tools"][0]["name"])
            arguments = '{"city": "Paris"}' if name == "weather" else '{"words": "Paris", "pages": 1}'
            call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
            events += _block(1, call, {"type": "input_json_delta", "partial_json": arguments})
            count, reason = 5, "tool_use"
        else:
            pieces, reason = _cut(CITY if "output_config" in body else SAID, body)
            events += _block(1, {"type": "text", "text": ""}, *({"type": "text_delta", "text": one} for one in pieces))
            count = len(pieces)
        ending = {"stop_reason": reason, "stop_sequence": None}
        events += [_event("message_delta", delta=ending, usage={"output_tokens": count}), _event("message_stop")]
        return Act(events)


def _cut(text: str, body: Mapping[str, Any]) -> tuple[list[str], str]:
    ends = [text.index(stop) for stop in body.get("stop_sequences", ()) if stop in text]
    pieces = re.findall(r"\s*\S+", text[: min(ends)] if ends else text)
    if len(pieces) > body["max_tokens"]:
        return pieces[: body["max_tokens"]], "max_tokens"
    return pieces, "stop_sequence" if ends else "end_turn"


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def _message(usage: Mapping[str, int]) -> dict[str, Any]:
    message = {"id": "msg", "type": "message", "role": "assistant", "content": [], "model": "claude"}
    return {**message, "usage": usage, "stop_reason": None, "stop_sequence": None}


def _block(index: int, content: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[str]:
    return [
        _event("content_block_start", index=index, content_block=content),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]

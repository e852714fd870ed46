"""One reply of llama.cpp's server, gathered from its chunks, and the server's errors as ours. Knows no transport."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, ModelError
from llmspell_protocol.models import FinishReason, ToolCall
from llmspell_providers.candle.engine import EngineCancelled, Outcome, Reply, no_tokens, text_too_long
from llmspell_providers.candle.prompt_pieces import PieceTimes
from llmspell_providers.candle.speculation import DRAFT_TOKENS
from llmspell_providers.openai_chat import parse_arguments

OnChunk = Callable[[Mapping[str, Any]], bool]
"""Takes one chunk of a stream; True makes the server stop and free the slot."""

_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large to process.*batch size: (\d+)\)")
"""The server's words for a text that does not fit one step; they are all it says about it."""


_SPARE = 1 + DRAFT_TOKENS
"""Tokens of a context that the engine may leave free: it does not begin a draft that may not fit."""


_TEMPLATE_SAYS = re.compile(r"Jinja Exception: ([^\n]+)")
"""What stands in a template's raise_exception, in the engine's words around it."""
_TEMPLATE_FAILS = re.compile(r"^Error: ([^\n]+)", re.MULTILINE)
_IN_TEMPLATE = "While executing"


class _Discard:
    """Drops the chunks: the reply to a piece of a prompt is not read."""

    cancelled = False

    def text(self, piece: str) -> None: ...

    def reasoning(self, piece: str) -> None: ...

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None: ...


DISCARD = _Discard()


class Generation:
    """The chunks of one reply, gathered as they come; its `on_chunk` takes them."""

    def __init__(self, reply: Reply, *, speculates: bool = False) -> None:
        self._reply = reply
        self._speculates = speculates
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tools: dict[int, dict[str, str]] = {}
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self._failure: Exception | None = None

    def on_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Takes one chunk (see `OnChunk`); what goes wrong is kept for `raise_failure`."""
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001 the engine swallows what a callback raises: kept and raised after it
            self._failure = error
            return True
        return self._reply.cancelled

    def _take(self, chunk: Mapping[str, Any]) -> None:
        if "error" in chunk:
            raise engine_error(chunk["error"])
        if "usage" in chunk:
            self._usage, self._timings = chunk["usage"], chunk["timings"]
        if not chunk["choices"]:
            return
        choice = chunk["choices"][0]
        self._finish = choice["finish_reason"] or self._finish
        delta = choice.get("delta") or {"content": choice.get("text")}
        if delta.get("reasoning_content"):
            self._reasoning.append(delta["reasoning_content"])
            self._reply.reasoning(delta["reasoning_content"])
        if delta.get("content"):
            self._text.append(delta["content"])
            self._reply.text(delta["content"])
        for call in delta.get("tool_calls") or ():
            self._take_tool(call)
        progress = chunk.get("prompt_progress")
        if progress is not None:
            self._reply.progress(progress["processed"], progress["total"], progress["time_ms"])

    def _take_tool(self, call: Mapping[str, Any]) -> None:
        entry = self._tools.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
        entry["id"] = call.get("id") or entry["id"]
        entry["name"] += call["function"].get("name") or ""
        entry["arguments"] += call["function"].get("arguments") or ""

    def raise_failure(self) -> None:
        """Raises what ended the generation early, if anything did."""
        if self._failure is not None:
            raise self._failure
        if self._reply.cancelled:
            raise EngineCancelled
        if self._finish is None:
            raise ModelError("the engine ended the reply without a finish reason", retryable=True)

    def piece_times(self) -> PieceTimes:
        """What reading a piece of a prompt took."""
        return PieceTimes(int(self._timings["cache_n"]), float(self._timings["prompt_ms"]))

    def outcome(self, max_tokens: int | None, context_size: int) -> Outcome:
        """The finished reply; `context_size` is what a slot holds, in tokens.

        Raises:
            InvalidRequest: the prompt had no tokens.
            ModelError: the reply was ended early, and neither `max_tokens` nor the context is the reason.
        """
        prompt, completion = int(self._usage["prompt_tokens"]), int(self._usage["completion_tokens"])
        if not prompt:
            raise no_tokens()
        return Outcome(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=[
                ToolCall(id=entry["id"], name=entry["name"], arguments=parse_arguments(entry["arguments"]))
                for _, entry in sorted(self._tools.items())
            ],
            finish_reason=_finish_reason(self._finish or "", prompt, completion, max_tokens, context_size),
            prompt_tokens=prompt,
            cached_tokens=int(self._timings["cache_n"]),
            completion_tokens=completion,
            prefill_ms=float(self._timings["prompt_ms"]),
            decode_ms=float(self._timings["predicted_ms"]),
            # The engine leaves out what is 0.
            draft_tokens=int(self._timings.get("draft_n", 0)) if self._speculates else None,
            accepted_tokens=int(self._timings.get("draft_n_accepted", 0)) if self._speculates else None,
        )


def _finish_reason(
    engine_reason: str, prompt_tokens: int, completion_tokens: int, max_tokens: int | None, context_size: int
) -> FinishReason:
    """The engine says "length" for max_tokens and for the end of the context: the counts tell them apart."""
    if engine_reason == "tool_calls":
        return "tool_calls"
    if engine_reason != "length":
        return "stop"
    if max_tokens is not None and completion_tokens >= max_tokens:
        return "length"
    if prompt_tokens + completion_tokens >= context_size - _SPARE:
        return "context_full"
    raise ModelError(
        f"the engine ended the reply after {completion_tokens} tokens, with {max_tokens} allowed and "
        f"{context_size - prompt_tokens - completion_tokens} left in the context",
        retryable=True,
    )


def engine_error(error: Mapping[str, Any]) -> Exception:
    """The server's error object as an exception of ours."""
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        prompt, limit = error["n_prompt_tokens"], error["n_ctx"]
        return ContextLengthExceeded(
            f"the prompt has {prompt} tokens, the model's context {limit}",
            hint="shorten the conversation, or raise providers.candle.context_size",
            details={"prompt_tokens": prompt, "limit": limit},
        )
    too_large = _TOO_LARGE.match(message)
    if too_large is not None:
        tokens, limit = (int(number) for number in too_large.groups())
        return text_too_long(tokens, limit)
    own = template_refusal(message)
    if own is not None:
        return own
    if error.get("type") == "invalid_request_error":
        return InvalidRequest(f"the engine refused the request: {one_line(message)}")
    return ModelError(f"the engine failed: {one_line(message)}")


def of_text(error: Exception, place: int, count: int) -> Exception:
    """The same error, where a text was too long, with which of `count` texts that is, from 0."""
    if not isinstance(error, ContextLengthExceeded):
        return error
    return ContextLengthExceeded(
        f"text {place + 1} of {count}: {error.message}", hint=error.hint, details={**error.details, "index": place}
    )


def template_refusal(message: str) -> InvalidRequest | None:
    """The error for messages that a chat template will not have, in its own words; None: it is about something else."""
    own, failed = _TEMPLATE_SAYS.search(message), _TEMPLATE_FAILS.search(message)
    if own is not None:
        return refused_by_template(own[1])
    if failed is not None and _IN_TEMPLATE in message:
        return refused_by_template(failed[1])
    return None


def refused_by_template(words: str) -> InvalidRequest:
    """The same for words that are known."""
    return InvalidRequest(
        f"the model's chat template refused the messages: {one_line(words)}",
        hint="change the messages as it says: many templates want user and assistant to take turns, and some no system "
        "message; generate with raw goes without the template",
    )


def one_line(text: str) -> str:
    """A text of several lines as one."""
    return " ".join(text.split())

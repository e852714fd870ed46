"""What a person is told about a reply that was cut or can't be made as it is wished, with the words that change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llmspell_protocol.errors import ContextLengthExceeded, LlmspellError, Unsupported

Way = Literal["option", "slash", "script"]
"""How options are given: on a command line, in a conversation, or in a script."""

_LIMIT = {"option": "--max-tokens", "slash": "/set max_tokens", "script": "max_tokens ="}
_CONTEXT = {"option": "-o num_ctx", "slash": "/set num_ctx", "script": "num_ctx ="}
_THINKING = {
    "option": "leave --think and --no-think away",
    "slash": "it is left to the model again, /retry asks once more",
    "script": "leave think away",
}


def cut_notice(reply: Mapping[str, Any], way: Way) -> str | None:
    """One line in brackets for a reply that would have gone on; None for one that is whole."""
    if not reply.get("truncated"):
        return None
    tokens, context = reply["usage"]["completion_tokens"], reply.get("context_size")
    if reply["finish_reason"] == "length":
        return f"[cut at {tokens} tokens; longer: {_LIMIT[way]} {2 * tokens}]"
    if context is None:
        return f"[cut after {tokens} tokens: the model's context is full; larger: {_CONTEXT[way]} N]"
    return f"[cut: the context of {context} tokens is full; larger: {_CONTEXT[way]} {2 * context}]"


def with_way(error: LlmspellError, way: Way) -> LlmspellError:
    """An error whose hint names a larger context, or another thinking, with the words that ask for it here."""
    if isinstance(error, Unsupported) and error.details.get("operation") == "think":
        hint = "; ".join(part for part in (_THINKING[way], error.hint) if part)
        return type(error)(error.message, hint=hint, details=error.details)
    num_ctx = error.details.get("num_ctx")
    if not isinstance(error, ContextLengthExceeded) or num_ctx is None:
        return error
    hint = f"a larger context: {_CONTEXT[way]} {num_ctx}; or a shorter conversation"
    return type(error)(error.message, hint=hint, details=error.details)

"""What people are told about replies that were cut and prompts that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.cut_replies import Way, cut_notice, with_way
from llmspell_protocol.errors import ContextLengthExceeded, Unsupported


def _reply(reason: str, context_size: int | None = 8192) -> dict[str, Any]:
    truncated = reason in ("length", "context_full")
    usage = {"completion_tokens": 512}
    return {"truncated": truncated, "finish_reason": reason, "usage": usage, "context_size": context_size}


@pytest.mark.parametrize(
    ("reply", "way", "notice"),
    [
        (_reply("stop"), "option", None),
        (_reply("tool_calls"), "option", None),
        (_reply("length"), "option", "[cut at 512 tokens; longer: --max-tokens 1024]"),
        (_reply("length"), "slash", "[cut at 512 tokens; longer: /set max_tokens 1024]"),
        (_reply("context_full"), "option", "[cut: the context of 8192 tokens is full; larger: -o num_ctx 16384]"),
        (_reply("context_full"), "slash", "[cut: the context of 8192 tokens is full; larger: /set num_ctx 16384]"),
        (
            _reply("context_full", None),
            "option",
            "[cut after 512 tokens: the model's context is full; larger: -o num_ctx N]",
        ),
    ],
)
def test_a_cut_reply_says_what_cut_it_and_what_makes_it_longer(
    reply: dict[str, Any], way: Way, notice: str | None
) -> None:
    assert cut_notice(reply, way) == notice


def test_an_overflow_names_the_words_that_help_where_it_happened() -> None:
    error = ContextLengthExceeded("too long", details={"num_ctx": 8192})
    assert with_way(error, "slash").hint == "a larger context: /set num_ctx 8192; or a shorter conversation"
    assert with_way(error, "option").hint == "a larger context: -o num_ctx 8192; or a shorter conversation"
    refused = Unsupported("m can't do 'think'", hint="Qwen 3 does", details={"operation": "think"})
    assert with_way(refused, "option").hint == "leave --think and --no-think away; Qwen 3 does"
    assert "--think" not in str(with_way(refused, "slash").hint)
    plain = ContextLengthExceeded("too long", hint="shorten it")
    assert with_way(plain, "slash") is plain

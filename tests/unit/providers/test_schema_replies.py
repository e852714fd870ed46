"""What a finished reply is held to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest, SchemaUnsupported, SchemaViolation
from llmspell_protocol.models import ChatMessage, ChatRequest
from llmspell_providers.mock import MockProvider
from llmspell_providers.schemas.reply import check_reply
from tests.support.chat_turns import turn
from tests.support.schema_table import POINT


def test_a_reply_that_fits_passes() -> None:
    check_reply('{"x": 1}', POINT, finish_reason="stop")


@pytest.mark.parametrize(
    ("text", "at"),
    [('{"y": 1}', ""), ('{"x": "one"}', "/x"), ("[1, 2]", ""), ("no JSON at all", ""), ("", ""), ("9" * 5000, "")],
    ids=lambda value: str(value)[:20],
)
def test_a_reply_that_does_not_fit_is_a_violation_with_its_place(text: str, at: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        check_reply(text, POINT, finish_reason="stop")
    assert caught.value.details == {"text": text, "at": at, "finish_reason": "stop"}


@pytest.mark.parametrize("reason", ["length", "context_full"])
def test_a_reply_that_was_cut_says_that_it_was(reason: str) -> None:
    with pytest.raises(SchemaViolation, match=f"cut \\({reason}\\)") as caught:
        check_reply('{"x": 1', POINT, finish_reason=reason)
    assert caught.value.hint == "raise max_tokens"


def test_a_reply_that_is_nested_too_deeply_is_a_violation() -> None:
    node = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
    check_reply("[[[]]]", node, finish_reason="stop")
    for depth in (900, 100_000):
        with pytest.raises(SchemaViolation, match="nested too deeply"):
            check_reply("[" * depth + "]" * depth, node, finish_reason="stop")


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"type": 3}, InvalidRequest),
        ({"enum": 3}, InvalidRequest),
        ({"type": "string", "minLength": 5, "maxLength": 2}, SchemaUnsupported),
        ({"$ref": "http://127.0.0.1:9/schema"}, SchemaUnsupported),
    ],
    ids=str,
)
def test_a_backend_that_reads_no_schema_itself_is_not_asked_with_a_wrong_one(
    schema: dict[str, Any], error: type[Exception]
) -> None:
    class Unasked(MockProvider):
        def chat(self, *args: Any, **words: Any) -> Any:
            raise AssertionError("it was asked")

    async def chat() -> None:
        request = ChatRequest(model="mock/a", messages=[ChatMessage(role="user", content="hi")], schema=schema)
        async for _ in turn(Unasked(), request):
            pass

    with pytest.raises(error):
        asyncio.run(chat())

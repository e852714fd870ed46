"""Models that need nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llmspell_protocol.errors import SchemaViolation, Unsupported
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, SamplingOptions
from llmspell_providers.mock import MockProvider
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn


def _ask(text: str, *, reply: str | None = None, **fields: Any) -> tuple[list[str], ChatResult]:
    async def scenario() -> list[ChatChunk]:
        request = ChatRequest(model="mock/echo@mock", messages=(ChatMessage(role="user", content=text),), **fields)
        return [chunk async for chunk in turn(MockProvider(reply), request)]

    chunks = asyncio.run(scenario())
    assert chunks[-1].result is not None
    return [chunk.text for chunk in chunks[:-1] if chunk.text], chunks[-1].result


def test_the_answer_is_the_name_and_the_input_word_by_word() -> None:
    pieces, result = _ask("hello  there\n")
    assert pieces == ["[mock/echo]", " hello", "  there\n"]
    assert result.message.content == "[mock/echo] hello  there\n"
    assert (result.model, result.backend, result.finish_reason) == ("mock/echo", "mock", "stop")
    assert result.usage.prompt_tokens == 2


def test_only_the_first_two_hundred_characters_are_repeated() -> None:
    _, result = _ask("x" * 500)
    assert result.message.content == "[mock/echo] " + "x" * 200


def test_a_prepared_reply_is_given_whatever_was_asked() -> None:
    pieces, result = _ask("anything", reply="as you wish")
    assert pieces == ["as", " you", " wish"]
    assert result.message.content == "as you wish"


def test_max_tokens_cuts_between_words_and_says_length() -> None:
    _, result = _ask("anything", reply="one two three, four", options=SamplingOptions(max_tokens=4))
    assert result.message.content == "one two three,"
    assert (result.finish_reason, result.usage.completion_tokens) == ("length", 4)


def test_a_stop_string_ends_the_reply_before_it() -> None:
    _, result = _ask("anything", reply="one two STOP three", options=SamplingOptions(stop=("STOP",)))
    assert result.message.content == "one two "
    assert result.finish_reason == "stop"


def test_a_schema_gets_the_smallest_reply_that_fits() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "size": {"type": "integer", "minimum": 3},
            "kind": {"enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1},
            "left": {"type": "string"},
        },
        "required": ["name", "size", "kind", "tags"],
    }
    _, result = _ask("anything", schema=schema)
    assert json.loads(result.message.content) == {"name": "xx", "size": 3, "kind": "a", "tags": [False]}


def test_a_prepared_reply_that_does_not_fit_the_schema_is_a_violation() -> None:
    with pytest.raises(SchemaViolation):
        _ask("anything", reply="no json", schema={"type": "object"})


def test_a_demanded_tool_is_called_with_arguments_that_fit() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    _, result = _ask("anything", tools=tools, tool_choice="required")
    (call,) = result.message.tool_calls
    assert (call.name, call.arguments, result.finish_reason) == ("weather", {"city": ""}, "tool_calls")
    _, unforced = _ask("anything", tools=tools)
    assert unforced.message.tool_calls == ()


def test_every_name_is_a_model_but_none_is_installed() -> None:
    async def scenario() -> None:
        provider = MockProvider()
        spec = ModelSpec.parse("mock/any")
        assert (await provider.info(spec)).id == "mock/any"
        assert await provider.list_models() == []
        (done,) = [one async for one in provider.pull(spec, force=False, quantization=None)]
        assert done.result is not None
        assert done.result.download_status == "already_present"
        with pytest.raises(Unsupported):
            await provider.remove(spec, force=False)

    asyncio.run(scenario())

"""Which tool a model is to call: what is asked of backends, and what a reply without the call is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelError
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, Timings, ToolCall, Usage
from llmspell_providers.candle.demanded_calls import call_body, call_of
from llmspell_providers.candle.engine import Outcome
from llmspell_providers.mock import MockProvider
from llmspell_providers.openai_chat import chat_body
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from tests.support.chat_turns import turn

WEATHER = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SEARCH = {"type": "function", "function": {"name": "search", "description": "Looks it up"}}
HELLO = (ChatMessage(role="user", content="hi"),)
REQUEST = ChatRequest(model="mock/a", messages=HELLO, tools=(WEATHER, SEARCH))


class Says(MockProvider):
    """Answers with these calls, or a text."""

    def __init__(self, *calls: str, text: str = "", finish_reason: Any = "stop") -> None:
        super().__init__()
        self._message = ChatMessage(
            role="assistant", content=text, tool_calls=[ToolCall(id="1", name=name) for name in calls]
        )
        self._finish_reason = finish_reason

    async def chat(self, *args: Any, **words: Any) -> AsyncGenerator[ChatChunk]:
        """The message, whatever is asked."""
        yield ChatChunk(
            result=ChatResult(
                message=self._message,
                finish_reason=self._finish_reason,
                usage=Usage(),
                timings=Timings(),
                model="mock/a",
                backend="mock",
            )
        )


def answered(provider: MockProvider, request: ChatRequest) -> ChatResult:
    """The end of a turn."""

    async def chat() -> ChatResult:
        chunks = [chunk async for chunk in turn(provider, request)]
        assert chunks[-1].result is not None
        return chunks[-1].result

    return asyncio.run(chat())


@pytest.mark.parametrize(
    "wrong",
    [
        {"tool_choice": "nothing"},
        {"tool_choice": "required", "tools": ()},
        {"tool_choice": "weather", "tools": ()},
        {"tool_choice": "Weather"},
        {"tool_choice": ""},
        {"raw": True, "messages": (), "prompt": "a"},
        {"tools": ({"function": 3},), "tool_choice": "weather"},
        {"tools": ({"name": ["weather"]},), "tool_choice": "weather"},
    ],
    ids=str,
)
def test_a_choice_that_nothing_could_follow_is_an_invalid_request(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        answered(MockProvider(), replace(REQUEST, **wrong))


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_without_a_demand_no_call_is_needed(choice: str | None) -> None:
    assert answered(Says(text="hi"), replace(REQUEST, tool_choice=choice)).message.content == "hi"
    without = replace(REQUEST, tools=(), tool_choice=choice)
    assert answered(Says(text="hi"), without).message.content == "hi"


@pytest.mark.parametrize(
    ("choice", "said", "why"),
    [
        ("required", Says(text="prose", finish_reason="length"), "cut"),
        ("required", Says(text="prose"), "without a call"),
        ("weather", Says(text="prose", finish_reason="context_full"), "cut"),
        ("weather", Says("search", finish_reason="tool_calls"), "'search'"),
        ("weather", Says("weather", "search", finish_reason="tool_calls"), "'search'"),
        ("required", Says("unknown", finish_reason="tool_calls"), "'unknown'"),
    ],
)
def test_a_reply_without_the_call_is_an_error(choice: str, said: Says, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        answered(said, replace(REQUEST, tool_choice=choice))
    assert caught.value.code == "model_error"
    assert caught.value.details["tool_choice"] == choice
    assert caught.value.hint


@pytest.mark.parametrize("choice", ["required", "weather"])
def test_a_reply_with_the_call_passes(choice: str) -> None:
    called = answered(MockProvider(), replace(REQUEST, tool_choice=choice)).message.tool_calls
    assert [call.name for call in called] == ["weather"]


def content(choice: str | None) -> dict[str, Any]:
    """The content of an admitted request."""
    tools = admit(replace(REQUEST, tools=(referring("a"), referring("b"))), Grammar()).tools
    return {"messages": [], "options": {}, "tools": tools, "tool_choice": choice}


def referring(name: str) -> dict[str, Any]:
    """A tool whose parameters have definitions of the same name as every other's."""
    kind = {"a": "integer", "b": "string"}[name]
    properties = {"x": {"$ref": "#/$defs/x"}}
    return {"name": name, "parameters": {"type": "object", "properties": properties, "$defs": {"x": {"type": kind}}}}


def test_a_named_tool_becomes_the_only_one_and_has_to_be_called() -> None:
    body = chat_body(content("b"))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["b"]
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in chat_body(content("required"))["tools"]] == ["a", "b"]


def test_a_demanded_call_is_held_to_the_tools_names_and_parameters() -> None:
    schema = call_body(content("required"), 512)["response_format"]["json_schema"]["schema"]
    assert [one["properties"]["name"] for one in schema["anyOf"]] == [{"const": "a"}, {"const": "b"}]
    kinds = []
    for one in schema["anyOf"]:
        reference = one["properties"]["arguments"]["properties"]["x"]["$ref"]
        kinds.append(schema["$defs"][reference.rpartition("/")[2]]["type"])
    assert kinds == ["integer", "string"]
    alone = call_body(content("b"), 512)["response_format"]["json_schema"]["schema"]
    assert alone["properties"]["name"] == {"const": "b"}
    assert list(alone["$defs"].values()) == [{"type": "string"}]


@pytest.mark.parametrize("text", ["", "prose", '{"name": "a"', "[]", "3", '{"name": "a"}'])
def test_a_call_that_was_cut_is_none(text: str) -> None:
    outcome = Outcome(text=text, finish_reason="length", prompt_tokens=1, completion_tokens=1)
    assert call_of(outcome) == outcome


def test_a_call_is_read_from_the_reply() -> None:
    outcome = call_of(
        Outcome(text='{"name": "a", "arguments": {"x": 1}}', finish_reason="stop", prompt_tokens=1, completion_tokens=1)
    )
    (call,) = outcome.tool_calls
    assert (call.name, call.arguments, outcome.text, outcome.finish_reason) == ("a", {"x": 1}, "", "tool_calls")
    assert call.id


def test_refusals_are_told_by_name() -> None:
    with pytest.raises(LlmspellError) as caught:
        answered(MockProvider(), replace(REQUEST, tool_choice="nothing"))
    assert caught.value.details["field"] == "tool_choice"
    assert "weather, search" in (caught.value.hint or "")

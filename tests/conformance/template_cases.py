"""What every engine does where the model's template has tools and thinking."""

from __future__ import annotations

from llmspell_protocol.models import ChatMessage
from tests.conformance.engine_case import Cases, Subject, ask, chunks_of, result_of
from tests.support.templates import WEATHER

CASES = Cases()


@CASES.case("tools")
async def the_model_calls_a_tool(subject: Subject) -> None:
    request = ask("What is the weather in Paris?", tools=[WEATHER], options={"max_tokens": 60})
    chunks = await chunks_of(subject, request)
    result = chunks[-1].result
    assert result is not None
    assert result.finish_reason == "tool_calls"
    (call,) = result.message.tool_calls
    assert (call.name, call.arguments) == ("weather", {"city": "Paris"})
    assert call.id
    assert [one for chunk in chunks for one in chunk.tool_calls] == [call]


@CASES.case("tools")
async def a_tools_answer_goes_back_into_the_conversation(subject: Subject) -> None:
    asked = ChatMessage(role="user", content="What is the weather in Paris?")
    call = await result_of(subject, ask("", messages=[asked], tools=[WEATHER], options={"max_tokens": 60}))
    answered = ChatMessage(role="tool", content="sunny", tool_call_id=call.message.tool_calls[0].id)
    result = await result_of(subject, ask("", messages=[asked, call.message, answered], tools=[WEATHER]))
    assert result.usage.prompt_tokens > call.usage.prompt_tokens


@CASES.case("reasoning")
async def what_the_model_thinks_aloud_is_not_its_answer(subject: Subject) -> None:
    chunks = await chunks_of(subject, ask("What is 5 + 1?", options={"max_tokens": 60}))
    result = chunks[-1].result
    assert result is not None
    assert "I add the numbers" in (result.message.reasoning or "")
    assert "think>" not in result.message.content
    assert result.message.content.startswith("The sum")
    assert "".join(chunk.text for chunk in chunks) == result.message.content
    assert "".join(chunk.reasoning for chunk in chunks) == result.message.reasoning

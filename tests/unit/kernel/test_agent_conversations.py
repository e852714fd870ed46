"""How long a conversation may be, in messages and in tokens, and what becomes of what it loses."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_protocol.errors import WorkerCrashed
from llmspell_protocol.models import ChatMessage
from tests.support.agent_scenes import AgentScene
from tests.support.scripted_models import called


def test_a_conversation_is_held_to_its_tokens_by_whole_turns_and_the_system_prompt_stays() -> None:
    async def scenario() -> None:
        scene = AgentScene()
        agent = scene.agent(system_prompt="S " * 50, max_conversation_tokens=20)
        assert [(await scene.say(agent, text)).dropped for text in ("one", "two", "three")] == [0, 0, 2]
        # A turn has 4 words and 4 tokens around each of its two messages: 12, and two of them are more than 20.
        last = [(message.role, message.content) for message in scene.models.asked[-1].messages]
        assert last == [("system", "S " * 50), ("user", "two"), ("assistant", "echo 2: two"), ("user", "three")]
        assert [message.content for message in agent.history][::2] == ["two", "three"]

    asyncio.run(scenario())


def test_what_a_conversation_loses_is_summarized_for_the_model() -> None:
    async def scenario() -> None:
        scene = AgentScene("first", "second", "The user counts.", "third", "The user counts on.", "fourth")
        agent = scene.agent(system_prompt="Be brief.", max_conversation_length=3, summarize=True)
        await scene.say(agent, "one")
        await scene.say(agent, "two")
        scene.chunks.clear()
        turn = await scene.say(agent, "three")
        assert (turn.dropped, turn.summarized) == (2, True)
        assert scene.text == "third"
        asked_for, answered = scene.models.asked[-2:]
        assert "user: one\nassistant: first" in asked_for.messages[-1].content
        assert answered.messages[0].content == "Be brief.\n\nSummary of the conversation so far: The user counts."
        assert [message.content for message in answered.messages[1:]] == ["two", "second", "three"]
        await scene.say(agent, "four")
        again = scene.models.asked[-2].messages[-1].content
        assert "What happened before:\nThe user counts." in again
        assert "user: two" in again
        assert agent.details().summary == "The user counts on."
        assert await scene.service.reset(agent) == 4
        assert agent.details().summary is None

    asyncio.run(scenario())


def test_a_turn_whose_summary_fails_leaves_the_conversation_as_it_was() -> None:
    async def scenario() -> None:
        scene = AgentScene("first", "second", WorkerCrashed("gone"), "again")
        agent = scene.agent(max_conversation_length=3, summarize=True)
        await scene.say(agent, "one")
        await scene.say(agent, "two")
        before = list(agent.history)
        with pytest.raises(WorkerCrashed):
            await scene.say(agent, "three")
        assert agent.history == before

    asyncio.run(scenario())


def test_an_agent_without_tools_reads_calls_of_a_conversation_that_it_has_loaded_as_text() -> None:
    async def scenario() -> None:
        scene = AgentScene("And?")
        agent = scene.agent()
        agent.conversation.messages = [
            ChatMessage(role="user", content="Double 2."),
            ChatMessage(role="assistant", tool_calls=(called("double", {"n": 2}, id="a"),)),
            ChatMessage(role="tool", content="4", tool_call_id="a", name="double"),
            ChatMessage(role="assistant", content="It is 4."),
        ]
        await scene.say(agent, "Really?")
        assert [(message.role, message.content) for message in scene.models.asked[-1].messages] == [
            ("user", "Double 2."),
            ("assistant", '{"tool": "double", "arguments": {"n": 2}}'),
            ("user", "Result of double: 4"),
            ("assistant", "It is 4."),
            ("user", "Really?"),
        ]

    asyncio.run(scenario())

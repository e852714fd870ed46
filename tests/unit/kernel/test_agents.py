"""Agents: what they remember, whose they are, and what a turn that goes wrong leaves behind."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.service import MAX_AGENTS_PER_OWNER, AgentsService
from llmspell_protocol.areas.agent import AgentCreate, AgentExecute
from llmspell_protocol.errors import Busy, ContextLengthExceeded, InvalidRequest, NotFound, Timeout, WorkerCrashed
from llmspell_protocol.models import ChatChunk, SamplingOptions
from tests.support.scripted_models import ScriptedModels
from tests.support.virtual_time import run_in_virtual_time

OWNER = "context-1"
DEADLINE_S = 60.0


class Scene:
    """A service over scripted models, and one agent."""

    def __init__(self, **fields: Any) -> None:
        self.models = ScriptedModels()
        self.service = AgentsService(self.models)
        self.agent = self.service.create(AgentCreate(**{"model": "mock/x", "name": "ada", **fields}), owner=OWNER)

    async def say(self, text: str, agent: Agent | None = None, **fields: Any) -> str:
        wanted = AgentExecute(agent="", input=text, **fields)
        result = await self.service.execute(agent or self.agent, wanted, client="c", on_chunk=ignore)
        return result.result.message.content

    def history(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.agent.history]

    def last_prompt(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.models.asked[-1].messages]


def ignore(chunk: ChatChunk) -> None:
    """A client that drops what it is sent."""


def test_an_agent_without_a_name_gets_one() -> None:
    agent = AgentsService(ScriptedModels()).create(AgentCreate(), owner=OWNER)
    assert re.fullmatch(r"agent_[0-9a-f]{8}", agent.name)
    assert agent.model == "scripted/default"
    assert agent.system_prompt == ""


def test_neither_name_nor_description_reach_the_model() -> None:
    async def scenario() -> None:
        scene = Scene(name="Marvin", description="A paranoid android")
        await scene.say("one")
        assert scene.last_prompt() == [("user", "one")]

    asyncio.run(scenario())


def test_a_turn_sees_system_prompt_and_earlier_turns() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="Be brief.")
        assert await scene.say("one") == "echo 1: one"
        await scene.say("two")
        assert scene.last_prompt() == [
            ("system", "Be brief."),
            ("user", "one"),
            ("assistant", "echo 1: one"),
            ("user", "two"),
        ]
        assert all(message.reasoning is None for message in scene.agent.history)

    asyncio.run(scenario())


def test_an_empty_system_prompt_sends_none() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="")
        await scene.say("one")
        assert scene.last_prompt() == [("user", "one")]

    asyncio.run(scenario())


def test_a_long_conversation_loses_its_oldest_turns_and_keeps_the_system_prompt() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="S", max_conversation_length=4)
        for text in ("one", "two", "three", "four"):
            await scene.say(text)
        assert scene.history() == [
            ("user", "three"),
            ("assistant", "echo 3: three"),
            ("user", "four"),
            ("assistant", "echo 4: four"),
        ]
        # Three of the four may stand before a new message, and the first of them has to be the user's.
        assert scene.last_prompt() == [
            ("system", "S"),
            ("user", "three"),
            ("assistant", "echo 3: three"),
            ("user", "four"),
        ]

    asyncio.run(scenario())


def test_an_agent_with_no_room_for_a_conversation_answers_each_message_alone() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="", max_conversation_length=0)
        await scene.say("one")
        await scene.say("two")
        assert scene.last_prompt() == [("user", "two")]
        assert scene.history() == []

    asyncio.run(scenario())


def test_a_turn_that_asks_not_to_be_remembered_sees_the_conversation_and_leaves_it_as_it_was() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="")
        await scene.say("one")
        before = scene.history()
        await scene.say("aside", remember=False)
        assert len(scene.last_prompt()) == 3
        assert scene.history() == before

    asyncio.run(scenario())


def test_options_of_a_turn_go_before_those_of_the_agent_one_by_one() -> None:
    async def scenario() -> None:
        scene = Scene(options=SamplingOptions(temperature=0.5, max_tokens=10))
        await scene.say("one", options=SamplingOptions(temperature=0.0))
        assert scene.models.asked[-1].options == SamplingOptions(temperature=0.0, max_tokens=10)

    asyncio.run(scenario())


def test_parameters_and_context_stand_readable_below_the_input() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="")
        await scene.say("Sum up.", parameters={"words": 5, "tone": "dry"}, context={"topics": ["a", "ä"]})
        assert scene.last_prompt() == [
            ("user", 'Sum up.\n\nParameters:\n- words: 5\n- tone: dry\n\nContext:\n- topics: ["a", "ä"]')
        ]

    asyncio.run(scenario())


def test_a_failed_turn_leaves_the_conversation_as_it_was() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.say("one")
        before = scene.history()
        scene.models.failure = WorkerCrashed("the worker died")
        with pytest.raises(WorkerCrashed):
            await scene.say("two")
        assert scene.history() == before
        scene.models.failure = None
        assert await scene.say("two") == "echo 3: two"

    asyncio.run(scenario())


def test_a_cancelled_turn_stops_the_model_and_leaves_the_conversation_as_it_was() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.models.gate.clear()
        turn = asyncio.create_task(scene.say("one"))
        async with asyncio.timeout(DEADLINE_S):
            await scene.models.begun.acquire()
        assert scene.agent.busy
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert scene.models.running == 0
        assert scene.history() == []
        assert not scene.agent.busy
        assert scene.agent.turns == 0

    asyncio.run(scenario())


def test_a_turn_that_takes_too_long_says_so_and_stops_the_model() -> None:
    async def scenario() -> None:
        scene = Scene(max_execution_time_s=60)
        scene.models.gate.clear()
        with pytest.raises(Timeout, match=r"Agent 'ada' timed out after 60s"):
            await scene.say("one")
        assert scene.models.running == 0
        assert scene.history() == []

    run_in_virtual_time(scenario())


def test_a_conversation_that_outgrows_the_context_says_how_to_go_on() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.say("one")
        scene.models.failure = ContextLengthExceeded("5000 > 4096", details={"prompt_tokens": 5000, "limit": 4096})
        with pytest.raises(ContextLengthExceeded, match="conversation of agent 'ada'") as caught:
            await scene.say("two")
        assert caught.value.details == {"prompt_tokens": 5000, "limit": 4096}
        assert "history" in (caught.value.hint or "")

    asyncio.run(scenario())


def test_turns_of_one_agent_run_one_at_a_time_in_the_order_asked() -> None:
    async def scenario() -> None:
        scene = Scene(system_prompt="")
        scene.models.gate.clear()
        turns = [asyncio.create_task(scene.say(text)) for text in ("one", "two", "three")]
        async with asyncio.timeout(DEADLINE_S):
            await scene.models.begun.acquire()
        assert len(scene.models.asked) == 1
        scene.models.gate.set()
        assert await asyncio.gather(*turns) == ["echo 1: one", "echo 2: two", "echo 3: three"]
        assert scene.models.most_running == 1
        assert [content for _, content in scene.history()][::2] == ["one", "two", "three"]

    asyncio.run(scenario())


def test_two_agents_answer_side_by_side() -> None:
    async def scenario() -> None:
        scene = Scene()
        other = scene.service.create(AgentCreate(model="mock/y"), owner=OWNER)
        scene.models.gate.clear()
        turns = [asyncio.create_task(scene.say("a")), asyncio.create_task(scene.say("b", other))]
        async with asyncio.timeout(DEADLINE_S):
            await scene.models.begun.acquire()
            await scene.models.begun.acquire()
        scene.models.gate.set()
        await asyncio.gather(*turns)
        assert scene.models.most_running == 2

    asyncio.run(scenario())


def test_the_newest_agent_holds_the_name_and_the_older_one_lives_on_by_its_id() -> None:
    scene = Scene()
    newer = scene.service.create(AgentCreate(model="mock/y", name="ada"), owner=OWNER)
    assert scene.service.find("ada", owner=OWNER) is newer
    assert scene.service.find(scene.agent.id, owner=OWNER) is scene.agent
    scene.service.delete(scene.agent)
    assert scene.service.find("ada", owner=OWNER) is newer
    scene.service.delete(newer)
    with pytest.raises(NotFound, match="Agent 'ada' not found"):
        scene.service.find("ada", owner=OWNER)


def test_owners_do_not_see_each_others_agents_and_a_finished_owner_leaves_none() -> None:
    scene = Scene()
    theirs = scene.service.create(AgentCreate(model="mock/y", name="ada"), owner="context-2")
    assert scene.service.find("ada", owner=OWNER) is scene.agent
    with pytest.raises(NotFound):
        scene.service.find(theirs.id, owner=OWNER)
    scene.service.forget("context-2")
    assert scene.service.list(owner="context-2") == ()
    assert scene.service.list(owner=OWNER) == (scene.agent,)


def test_a_turn_that_waits_for_an_agent_that_is_deleted_fails() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.models.gate.clear()
        first = asyncio.create_task(scene.say("one"))
        async with asyncio.timeout(DEADLINE_S):
            await scene.models.begun.acquire()
        second = asyncio.create_task(scene.say("two"))
        scene.service.delete(scene.agent)
        scene.models.gate.set()
        assert await first == "echo 1: one"
        with pytest.raises(NotFound):
            await second

    asyncio.run(scenario())


def test_a_basic_agent_answers_with_its_input_and_asks_no_model() -> None:
    async def scenario() -> None:
        scene = Scene(type="basic", model=None)
        assert await scene.say("hello") == "hello"
        assert scene.models.asked == []
        assert scene.history() == [("user", "hello"), ("assistant", "hello")]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "fields", [{"model": "x@"}, {"model": ""}, {"max_conversation_length": -1}, {"max_execution_time_s": 0.0}]
)
def test_an_agent_that_makes_no_sense_is_not_created(fields: dict[str, Any]) -> None:
    service = AgentsService(ScriptedModels())
    with pytest.raises(InvalidRequest):
        service.create(AgentCreate(**{"model": "mock/x", **fields}), owner=OWNER)
    assert service.list(owner=OWNER) == ()


def test_an_owner_that_creates_agents_without_end_is_stopped() -> None:
    service = AgentsService(ScriptedModels())
    for _ in range(MAX_AGENTS_PER_OWNER):
        service.create(AgentCreate(model="mock/x"), owner=OWNER)
    with pytest.raises(Busy, match=str(MAX_AGENTS_PER_OWNER)):
        service.create(AgentCreate(model="mock/x"), owner=OWNER)
    service.create(AgentCreate(model="mock/x"), owner="someone else")


def test_the_model_is_shown_images_in_their_own_turn_and_the_conversation_keeps_the_text() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.say("what is it", images=(b"\x89PNG",))
        assert scene.models.asked[-1].messages[-1].images == (b"\x89PNG",)
        await scene.say("and now")
        assert [message.images for message in scene.models.asked[-1].messages] == [(), (), ()]
        assert [message.images for message in scene.agent.history] == [()] * 4

    asyncio.run(scenario())

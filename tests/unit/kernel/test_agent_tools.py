"""Agents whose model calls tools: what is done, told, listed, remembered, and where a turn ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_kernel.services.agents.called_tools import LONGEST_TOLD
from llmspell_kernel.services.agents.tool_names import OfferedTools
from llmspell_protocol.errors import (
    ContextLengthExceeded,
    Forbidden,
    LlmspellError,
    ModelError,
    SchemaViolation,
    Timeout,
    ToolNotFound,
    Unsupported,
    WorkerCrashed,
)
from llmspell_protocol.models import ChatRequest, SamplingOptions
from llmspell_protocol.tools.description import ToolDescription
from tests.support.agent_scenes import AgentScene
from tests.support.scripted_models import called
from tests.support.scripted_tools import Refused
from tests.support.virtual_time import run_in_virtual_time

NUMBER = {"n": {"type": "integer"}}


async def double(arguments: Mapping[str, Any]) -> int:
    return int(arguments["n"]) * 2


def raises(error: Exception) -> Any:
    async def act(arguments: Mapping[str, Any]) -> None:
        raise error

    return act


def test_a_result_goes_back_to_the_model_whose_answer_ends_the_turn() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 2})], "It is 4.")
        scene.tools.add("double", double)
        agent = scene.agent("double")
        turn = await scene.say(agent)
        assert turn.result.message.content == "It is 4."
        [call] = turn.tool_calls
        assert (call.name, call.arguments, call.success, call.result) == ("double", {"n": 2}, True, 4)
        assert (call.error, turn.limit, turn.tool_mode) == (None, None, "native")
        assert scene.told() == ["4"]
        assert (turn.result.usage.prompt_tokens, turn.result.usage.completion_tokens) == (6, 4)
        await scene.say(agent, "and now?")
        roles = [message.role for message in scene.models.asked[-1].messages]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        assert all(message.reasoning is None for message in scene.models.asked[-1].messages)

    asyncio.run(scenario())


def test_the_calls_of_one_reply_are_done_side_by_side_and_told_in_their_order() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("slow", {"n": 1}), called("slow", {"n": 2})], "done")
        both = asyncio.Barrier(2)
        second = asyncio.Event()

        async def slow(arguments: Mapping[str, Any]) -> int:
            await both.wait()
            if arguments["n"] == 1:
                await second.wait()
            second.set()
            return int(arguments["n"])

        scene.tools.add("slow", slow)
        async with asyncio.timeout(5):
            turn = await scene.say(scene.agent("slow"))
        assert scene.tools.most_running == 2
        assert scene.told() == ["1", "2"]
        assert [call.result for call in turn.tool_calls] == [1, 2]
        assert [(event.phase, event.arguments["n"]) for event in scene.events] == [
            ("started", 1),
            ("started", 2),
            ("ended", 2),
            ("ended", 1),
        ]
        assert len({event.id for event in scene.events}) == 2

    asyncio.run(scenario())


def test_events_come_between_what_the_model_says_before_and_after() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 2})], "It is 4.")
        scene.tools.add("double", double)
        await scene.say(scene.agent("double"))
        seen = [
            "tool " + chunk.tool.phase if chunk.tool else "calls" if chunk.tool_calls else chunk.text
            for chunk in scene.chunks
            if chunk.tool or chunk.tool_calls or chunk.text
        ]
        assert seen == ["calls", "tool started", "tool ended", "It ", "is 4."]
        ended = scene.events[1]
        assert (ended.success, ended.result, ended.error) == (True, 4, None)
        assert ended.duration_ms is not None

    asyncio.run(scenario())


WRONG = {"n": "two"}


@pytest.mark.parametrize(
    ("attempts", "listed"),
    [
        ([WRONG, {"n": 2}], [True]),
        ([WRONG, WRONG], [False]),
        ([WRONG, WRONG, {"n": 2}], [False, True]),
        ([WRONG], [False]),
        ([{"_text": '{"n": '}, {"n": 3}], [True]),
    ],
)
def test_wrong_arguments_go_back_once_and_then_count_as_failed(
    attempts: list[dict[str, Any]], listed: list[bool]
) -> None:
    async def scenario() -> None:
        scene = AgentScene(*([called("double", one)] for one in attempts), "done")
        scene.tools.add("double", double, properties=NUMBER, source="script")
        turn = await scene.say(scene.agent("double"))
        assert [call.success for call in turn.tool_calls] == listed
        told = scene.told()
        assert told[0].startswith("Error: ")
        assert told[0].endswith("Call the tool again with right arguments.")
        assert not any("again" in text for text in told[1:])
        assert len(scene.tools.calls) == sum(listed)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no such file"), "failed"),
        (Forbidden("Permission denied: x"), "forbidden"),
        (WorkerCrashed("the process of tool 'bad' ended by SIGKILL"), "worker_crashed"),
        (Timeout("tool 'bad' timed out after 1s"), "timeout"),
    ],
)
def test_a_tool_that_fails_is_told_to_the_model_and_listed(error: Exception, code: str) -> None:
    async def scenario() -> None:
        scene = AgentScene([called("bad"), called("double", {"n": 1})], "I could not.")
        scene.tools.add("bad", raises(error))
        scene.tools.add("double", double)
        turn = await scene.say(scene.agent("bad", "double"))
        assert turn.result.message.content == "I could not."
        bad, good = turn.tool_calls
        assert (bad.success, bad.error, bad.code) == (False, str(error), code)
        assert good.success
        assert scene.told() == [f"Error: {error}", "2"]

    asyncio.run(scenario())


def test_a_call_of_a_tool_that_is_not_there_is_told_with_those_that_are() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("triple", {"n": 2})], "Sorry.")
        scene.tools.add("double", double)
        scene.tools.add("secret", double)
        turn = await scene.say(scene.agent("double"))
        [call] = turn.tool_calls
        assert (call.name, call.success, call.code) == ("triple", False, "tool_not_found")
        assert scene.told() == ["Error: there is no tool 'triple'; there are: double"]
        scene.models.replies.extend([[called("secret", {"n": 2})], "Sorry."])
        assert not (await scene.say(scene.agent("double"))).tool_calls[0].success
        assert scene.tools.calls == []

    asyncio.run(scenario())


def test_an_agent_with_a_tool_that_does_not_exist_says_so_before_its_model_is_asked() -> None:
    async def scenario() -> None:
        scene = AgentScene()
        with pytest.raises(ToolNotFound, match="nothing"):
            await scene.say(scene.agent("nothing"))
        assert scene.models.asked == []

    asyncio.run(scenario())


def test_a_turn_ends_with_the_calls_that_it_may_make_and_is_not_remembered() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1})], [called("double", {"n": n}) for n in (2, 3, 4)])
        scene.tools.add("double", double)
        agent = scene.agent("double", max_tool_calls=2)
        turn = await scene.say(agent)
        assert turn.limit == "max_tool_calls"
        assert [call.success for call in turn.tool_calls] == [True, True, False, False]
        assert "max_tool_calls" in str(turn.tool_calls[3].error)
        assert len(scene.tools.calls) == 2
        assert agent.history == []

    asyncio.run(scenario())


def test_a_turn_whose_time_is_over_names_the_limit_and_the_call_that_it_ended() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1}), called("stuck")], "never")

        async def stuck(arguments: Mapping[str, Any]) -> None:
            await asyncio.sleep(1000)

        scene.tools.add("double", double)
        scene.tools.add("stuck", stuck)
        agent = scene.agent("double", "stuck", max_execution_time_s=5)
        turn = await scene.say(agent)
        assert turn.limit == "max_execution_time"
        assert [(call.name, call.success) for call in turn.tool_calls] == [("double", True), ("stuck", False)]
        assert scene.tools.cancelled == 1
        assert agent.history == []

    run_in_virtual_time(scenario())


def test_a_turn_without_a_first_reply_in_its_time_fails_and_names_the_limit() -> None:
    async def scenario() -> None:
        scene = AgentScene("never")
        scene.models.gate.clear()
        scene.tools.add("double", double)
        with pytest.raises(Timeout, match="timed out after 5s") as caught:
            await scene.say(scene.agent("double", max_execution_time_s=5))
        assert caught.value.details["limit"] == "max_execution_time"

    run_in_virtual_time(scenario())


def test_a_turn_ends_when_its_tokens_are_used_up() -> None:
    async def scenario() -> None:
        scene = AgentScene(*[[called("double", {"n": n})] for n in range(9)])
        scene.tools.add("double", double)
        agent = scene.agent("double", max_tokens_total=14, options=SamplingOptions(max_tokens=50))
        turn = await scene.say(agent)
        assert turn.limit == "max_tokens_total"
        # 5 tokens a reply: after two of them 4 are left, less than the next prompt.
        assert len(scene.models.asked) == 2
        assert [request.options.max_tokens for request in scene.models.asked] == [14, 9]

    asyncio.run(scenario())


def test_a_reply_in_schema_mode_that_the_budget_cuts_names_the_limit() -> None:
    async def scenario() -> None:
        scene = AgentScene(SchemaViolation("the reply was cut", details={"finish_reason": "length"}), "{}")
        scene.tools.add("double", double)
        agent = scene.agent("double", tool_mode="schema", max_tokens_total=100)
        scene.models.replies.appendleft(schema_reply(tool="double", arguments={"n": 1}))
        turn = await scene.say(agent)
        assert (turn.limit, turn.result.message.content, len(turn.tool_calls)) == ("max_tokens_total", "", 1)

    asyncio.run(scenario())


def test_a_first_reply_to_a_schema_that_the_budget_cuts_is_its_error_with_the_limit() -> None:
    async def scenario() -> None:
        scene = AgentScene(SchemaViolation("the reply was cut", details={"finish_reason": "length"}))
        agent = scene.agent(schema={"type": "object"}, max_tokens_total=1)
        with pytest.raises(SchemaViolation) as caught:
            await scene.say(agent)
        assert (caught.value.details["limit"], caught.value.hint) == ("max_tokens_total", "raise max_tokens_total")

    asyncio.run(scenario())


def test_a_defect_of_a_tool_ends_the_turn_as_what_it_is() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("broken"), called("stuck")])

        async def stuck(arguments: Mapping[str, Any]) -> None:
            await asyncio.Event().wait()

        scene.tools.add("broken", raises(ZeroDivisionError("a defect")))
        scene.tools.add("stuck", stuck)
        with pytest.raises(ZeroDivisionError):
            await scene.say(scene.agent("broken", "stuck"))
        assert (scene.tools.running, scene.tools.cancelled) == (0, 1)

    asyncio.run(scenario())


def test_a_turn_that_is_cancelled_in_the_middle_of_a_tool_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1})], "4", [called("stuck")])
        stays = asyncio.Event()

        async def stuck(arguments: Mapping[str, Any]) -> None:
            await stays.wait()

        scene.tools.add("double", double)
        scene.tools.add("stuck", stuck)
        agent = scene.agent("double", "stuck")
        await scene.say(agent)
        before = list(agent.history)
        await scene.tools.begun.acquire()
        turn = asyncio.create_task(scene.say(agent))
        async with asyncio.timeout(5):
            await scene.tools.begun.acquire()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert (agent.history, agent.busy, scene.tools.running, scene.tools.cancelled) == (before, False, 0, 1)

    asyncio.run(scenario())


def test_two_agents_use_one_tool_at_the_same_time() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("meet", {"n": 1})], [called("meet", {"n": 2})], "a", "b")
        both = asyncio.Barrier(2)

        async def meet(arguments: Mapping[str, Any]) -> int:
            await both.wait()
            return int(arguments["n"])

        scene.tools.add("meet", meet)
        agents = scene.agent("meet", name="ada"), scene.agent("meet", name="eve")
        async with asyncio.timeout(5):
            turns = await asyncio.gather(*(scene.say(agent) for agent in agents))
        assert [[call.result for call in turn.tool_calls] for turn in turns] == [[1], [2]]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("approval", "level", "answers", "is_done", "asked"),
    [
        ("never", "privileged", [], True, 0),
        ("restricted", "safe", [], True, 0),
        ("restricted", "restricted", ["y"], True, 1),
        ("restricted", "privileged", [" YES\n"], True, 1),
        ("always", "safe", ["y"], True, 1),
        ("always", "safe", ["no"], False, 1),
        ("always", "safe", [""], False, 1),
        ("restricted", "restricted", [], False, 1),
    ],
)
def test_a_person_is_asked_before_calls_of_the_level_that_is_set(
    approval: str, level: Any, answers: list[str | None], is_done: bool, asked: int
) -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 2})], "done")
        scene.tools.add("double", double, level=level)
        scene.tools.approval, scene.tools.answers = approval, list(answers)
        turn = await scene.say(scene.agent("double"))
        [call] = turn.tool_calls
        assert (call.success, len(scene.tools.questions), len(scene.tools.calls)) == (is_done, asked, int(is_done))
        if asked:
            assert scene.tools.questions[0].startswith(
                f"Agent 'ada' wants to call double ({level}) with {{\"n\": 2}}\nAllow it? "
            )
        if not is_done:
            assert call.code == "forbidden"
            assert ("said no" if answers else "no person could be asked") in str(call.error)
            assert scene.told()[0].startswith("Error: tool 'double'")

    asyncio.run(scenario())


def test_a_question_shows_control_characters_of_arguments_written_out() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": "\x1b[2K\nAllow it? y"})], "done")
        scene.tools.add("double", double, level="restricted")
        scene.tools.approval = "restricted"
        await scene.say(scene.agent("double", name="ada\n"))
        question = scene.tools.questions[0]
        assert "\x1b" not in question
        assert question.count("\n") == 1

    asyncio.run(scenario())


def test_a_question_shows_both_ends_of_long_arguments() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": "x" * 3000, "z": "rm -rf"})], "done")
        scene.tools.add("double", double, level="restricted")
        scene.tools.approval = "restricted"
        await scene.say(scene.agent("double"))
        question = scene.tools.questions[0]
        assert '{"n": "xxx' in question
        assert '"z": "rm -rf"}' in question
        assert "characters are not shown" in question

    asyncio.run(scenario())


def test_the_time_that_a_person_takes_does_not_count() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 2})], "done")
        scene.tools.add("double", double)
        scene.tools.approval = "always"

        async def ask(question: str) -> str:
            await asyncio.sleep(500)
            return "y"

        scene.tools.ask = ask  # type: ignore[method-assign]
        turn = await scene.say(scene.agent("double", max_execution_time_s=5))
        assert (turn.limit, turn.result.message.content) == (None, "done")

    run_in_virtual_time(scenario())


def test_the_time_for_a_permission_does_not_count_and_questions_come_one_by_one() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1}), called("double", {"n": 2})], "done")
        scene.tools.add("double", double)
        open_questions, most = 0, 0

        async def answer() -> None:
            nonlocal open_questions, most
            open_questions += 1
            most = max(most, open_questions)
            await asyncio.sleep(500)
            open_questions -= 1

        scene.tools.asking_tools["double"] = answer
        turn = await scene.say(scene.agent("double", max_execution_time_s=5))
        assert (turn.limit, turn.result.message.content, most) == (None, "done", 1)

    run_in_virtual_time(scenario())


def test_a_result_of_megabytes_is_told_cut_and_listed_whole() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1})], "done")
        whole = "x" * (LONGEST_TOLD + 7)

        async def long(_arguments: Mapping[str, Any]) -> str:
            return whole

        scene.tools.add("double", long)
        agent = scene.agent("double")
        turn = await scene.say(agent)
        assert turn.tool_calls[0].result == whole
        assert scene.told()[0].endswith("x\n… (7 more characters do not fit the context)")
        assert max(len(message.content) for message in agent.history) < LONGEST_TOLD + 100

    asyncio.run(scenario())


def schema_reply(**said: Any) -> str:
    return json.dumps(said)


def test_a_model_without_a_place_for_tools_writes_its_calls_as_json() -> None:
    async def scenario() -> None:
        scene = AgentScene(
            schema_reply(tool="double", arguments={"n": 4}), schema_reply(answer="It is 8."), schema_reply(answer="Hm.")
        )
        scene.models.has_tools = False
        scene.tools.add("double", double, properties=NUMBER)
        agent = scene.agent("double", system_prompt="Be brief.")
        turn = await scene.say(agent)
        assert (turn.result.message.content, turn.tool_mode) == ("It is 8.", "schema")
        assert scene.text == "It is 8."
        assert [call.result for call in turn.tool_calls] == [8]
        refused, first, second = scene.models.asked
        assert refused.tools
        assert not first.tools
        assert first.schema is not None
        assert first.messages[0].content.startswith("Be brief.\n\nYou can use these tools:\n- double: Does double.")
        assert [(one.role, one.content) for one in second.messages[1:]] == [
            ("user", "go"),
            ("assistant", '{"tool": "double", "arguments": {"n": 4}}'),
            ("user", "Result of double: 8"),
        ]
        # What the conversation holds is the same in both modes, and the next turn asks in the way that works.
        assert [message.role for message in agent.history] == ["user", "assistant", "tool", "assistant"]
        await scene.say(agent)
        assert len(scene.models.asked) == 4

    asyncio.run(scenario())


@pytest.mark.parametrize(("mode", "asked"), [("native", 1), ("schema", 1)])
def test_a_mode_that_is_chosen_is_not_left(mode: str, asked: int) -> None:
    async def scenario() -> None:
        scene = AgentScene(schema_reply(answer="hello"))
        scene.models.has_tools = False
        scene.tools.add("double", double)
        agent = scene.agent("double", tool_mode=mode)
        if mode == "native":
            with pytest.raises(Unsupported):
                await scene.say(agent)
        else:
            assert (await scene.say(agent)).result.message.content == "hello"
        assert len(scene.models.asked) == asked

    asyncio.run(scenario())


def test_a_reply_in_schema_mode_that_was_cut_fails_the_turn() -> None:
    async def scenario() -> None:
        scene = AgentScene('{"tool": "doub')
        scene.tools.add("double", double)
        agent = scene.agent("double", tool_mode="schema")
        with pytest.raises(ModelError, match="was cut"):
            await scene.say(agent)
        assert agent.history == []

    asyncio.run(scenario())


ANSWER = {"type": "object", "properties": {"sum": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}


def test_an_answer_in_a_form_is_asked_for_when_the_calls_are_done() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 2})], "It is 4.", '{"sum": 4}')
        scene.tools.add("double", double)
        turn = await scene.say(scene.agent("double", schema=ANSWER))
        assert turn.result.message.content == scene.text == '{"sum": 4}'
        assert [(bool(one.tools), one.schema) for one in scene.models.asked] == [
            (True, None),
            (True, None),
            (False, ANSWER),
        ]

    asyncio.run(scenario())


def test_an_answer_in_a_form_is_part_of_the_schema_in_schema_mode() -> None:
    async def scenario() -> None:
        scene = AgentScene(schema_reply(answer={"sum": 4}))
        scene.tools.add("double", double)
        turn = await scene.say(scene.agent("double", schema=ANSWER, tool_mode="schema"))
        assert turn.result.message.content == '{"sum": 4}'
        schema = scene.models.asked[0].schema
        assert schema is not None
        written = schema["anyOf"][1]["properties"]["answer"]
        assert written["properties"]["sum"] == {"$ref": "#/anyOf/1/properties/answer/$defs/n"}

    asyncio.run(scenario())


def test_a_result_that_is_too_long_for_the_context_is_shortened_for_the_model_alone() -> None:
    async def scenario() -> None:
        def too_long(request: ChatRequest) -> str:
            characters = sum(len(message.content) for message in request.messages)
            if characters > 2000:
                raise ContextLengthExceeded("too long", details={"prompt_tokens": characters // 4, "limit": 500})
            return "read"

        scene = AgentScene([called("read")], *[too_long] * 9)

        async def read(arguments: Mapping[str, Any]) -> str:
            return "x" * 50_000

        scene.tools.add("read", read)
        turn = await scene.say(scene.agent("read"))
        assert turn.result.message.content == "read"
        assert len(turn.tool_calls[0].result) == 50_000
        assert len(scene.models.replies) > 0
        [told] = scene.told()
        assert told.endswith("more characters do not fit the context)")

    asyncio.run(scenario())


def test_a_conversation_that_does_not_fit_without_results_to_shorten_fails() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1})], ContextLengthExceeded("too long"))
        scene.tools.add("double", double)
        with pytest.raises(ContextLengthExceeded):
            await scene.say(scene.agent("double"))

    asyncio.run(scenario())


def test_a_model_error_after_a_call_fails_the_turn_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        error: LlmspellError = WorkerCrashed("the model's process ended")
        scene = AgentScene([called("double", {"n": 1})], error)
        scene.tools.add("double", double)
        agent = scene.agent("double")
        with pytest.raises(WorkerCrashed):
            await scene.say(agent)
        assert agent.history == []

    asyncio.run(scenario())


def test_a_turn_that_is_longer_than_the_conversation_may_be_is_remembered_without_its_calls() -> None:
    async def scenario() -> None:
        scene = AgentScene([called("double", {"n": 1})], "2")
        scene.tools.add("double", double)
        agent = scene.agent("double", max_conversation_length=2)
        turn = await scene.say(agent)
        assert [(message.role, message.content) for message in agent.history] == [("user", "go"), ("assistant", "2")]
        assert turn.dropped == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("has_tools", [True, False])
def test_a_model_whose_calls_fail_three_times_in_a_row_is_asked_for_an_answer_without_tools(has_tools: bool) -> None:
    wrong = [called("double", {"n": -1})] if has_tools else '{"tool": "double", "arguments": {"n": -1}}'
    right = [called("double", {"n": 1})] if has_tools else '{"tool": "double", "arguments": {"n": 1}}'

    async def positive(arguments: Mapping[str, Any]) -> int:
        if arguments["n"] < 0:
            raise Refused("too small")
        return int(arguments["n"])

    async def scenario() -> None:
        answer = "I can't." if has_tools else '{"answer": "I can\'t."}'
        scene = AgentScene(wrong, wrong, right, wrong, wrong, wrong, answer, wrong)
        scene.tools.add("double", positive)
        scene.models.has_tools = has_tools
        agent = scene.agent("double")
        turn = await scene.say(agent)
        assert (turn.result.message.content, turn.limit) == ("I can't.", "failed_calls")
        assert turn.tool_mode == ("native" if has_tools else "schema")
        assert [call.success for call in turn.tool_calls].count(True) == 1
        assert scene.text.endswith("I can't.")
        last = scene.models.asked[-1]
        assert not last.tools
        assert has_tools or not any(word in json.dumps(last.schema) for word in ("tool", "double"))
        assert len(scene.models.replies) == 1
        assert agent.history[-1].content == "I can't."

    run_in_virtual_time(scenario())


def test_names_for_models_have_no_other_characters_than_interfaces_allow_and_lead_back() -> None:
    def described(name: str) -> ToolDescription:
        parameters = {"type": "object", "properties": {"n": {"type": "integer", "x-also": ["number"]}}}
        return ToolDescription(
            name=name, description="d", category="utility", security_level="safe", parameters=parameters
        )

    names = ["time/get_current_time", "time.get_current_time", "wörter", "x" * 80, "x" * 81, "calculator"]
    offered = OfferedTools([described(name) for name in names])
    told = [tool["function"]["name"] for tool in offered.functions()]
    assert told[:3] == ["time_get_current_time", "time_get_current_time_2", "w_rter"]
    assert all(len(name) <= 64 for name in told)
    assert len(set(told)) == 6
    assert [found.name for name in told if (found := offered.find(name))] == names
    assert "x-also" not in json.dumps(offered.functions())
    own = offered.find("time/get_current_time")
    assert own is not None
    assert len(OfferedTools([described("calculator"), described("calculator")])) == 1

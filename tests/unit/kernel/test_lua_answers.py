"""LocalLLM's answers without an agent: what is asked, and what a script gets."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, refused, reply

ANSWER = {
    "message": {"role": "assistant", "content": "hello", "reasoning": "because"},
    "finish_reason": "length",
    "truncated": True,
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    "timings": {"decode_ms": 1.5},
    "model": "m",
    "backend": "candle",
}
PIECES = [("progress", {"phase": "loading"}), ("delta", {"text": "hel"}), ("delta", {"text": "lo"})]


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["model chat"] = reply(**ANSWER)
    bench.kernel.answers["model generate"] = reply(**ANSWER)
    return bench


def asked(bench: LuaBench) -> dict[str, Any]:
    return {key: value for key, value in bench.kernel.requests[-1][1].items() if value not in (None, {})}


def test_a_chat_needs_no_more_than_a_prompt(bench: LuaBench) -> None:
    assert bench.value("return LocalLLM.chat('hi').text") == "hello"
    messages = [{"role": "user", "content": "hi"}]
    assert asked(bench) == {"action": "chat", "model": "", "messages": messages, "stream": False}


def test_a_chat_is_asked_with_system_prompt_messages_prompt_and_options(bench: LuaBench) -> None:
    bench.run(
        "LocalLLM.chat{model = 'm', system = 'Be brief.', messages = {{role = 'user', content = 'a'}, "
        "{role = 'assistant', content = 'b'}}, prompt = 'c', temperature = 0, stop = 'x', device = 'cpu'}"
    )
    request = asked(bench)
    assert [(message["role"], message["content"]) for message in request["messages"]] == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
    ]
    assert request["options"] == {"temperature": 0, "stop": ["x"]}
    assert (request["model"], request["device"]) == ("m", "cpu")


def test_an_answer_says_how_it_ended_and_what_it_cost(bench: LuaBench) -> None:
    assert bench.value("return LocalLLM.chat('hi')") == {
        "text": "hello",
        "reasoning": "because",
        "finish_reason": "length",
        "truncated": True,
        "usage": ANSWER["usage"],
        "timings": ANSWER["timings"],
        "model": "m",
        "backend": "candle",
    }


@pytest.mark.parametrize("call", ["LocalLLM.chat{prompt = 'x', schema = %s}", "LocalLLM.generate('x', {schema = %s})"])
def test_a_schema_may_be_written_as_its_fields(bench: LuaBench, call: str) -> None:
    assert "'intt' is not a type (age)" in bench.caught(call % "'name, age intt'")
    assert "(table expected, got number)" in bench.caught(call % "1")


def test_an_answer_with_a_schema_comes_as_data_too(bench: LuaBench) -> None:
    message = {"role": "assistant", "content": '{"names": []}'}
    bench.kernel.answers["model chat"] = reply(**{**ANSWER, "message": message})
    code = "return JSON.stringify(LocalLLM.chat{prompt = 'x', schema = {type = 'object'}}.data)"
    assert bench.value(code) == '{"names":[]}'


def test_a_chat_streams_to_a_function(bench: LuaBench) -> None:
    bench.kernel.answers["model chat"] = [*PIECES, *reply(**ANSWER)]
    code = (
        "local said = {} local r = LocalLLM.chat('hi', function(c) said[#said + 1] = c.text end) return {said, r.text}"
    )
    assert bench.value(code) == [["hel", "lo"], "hello"]
    assert asked(bench)["stream"] is True


def test_a_function_that_returns_false_ends_the_answer(bench: LuaBench) -> None:
    bench.kernel.answers["model generate"] = [*PIECES, *reply(**ANSWER)]
    code = "return LocalLLM.generate('hi', function() return false end)"
    assert bench.value(code) == {"text": "hel", "stopped": True, "truncated": True}
    assert bench.kernel.closed == [1]


def test_a_text_can_be_continued_as_it_is(bench: LuaBench) -> None:
    bench.run("LocalLLM.generate('Once', {model = 'm', raw = true, max_tokens = 5})")
    request = {"action": "generate", "model": "m", "prompt": "Once", "raw": True, "options": {"max_tokens": 5}}
    assert asked(bench) == {**request, "stream": False}


def vectors(*rows: tuple[float, ...], **content: Any) -> list[tuple[str, dict[str, Any]]]:
    data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    return reply(model="e", backend="candle", count=len(rows), dimensions=len(rows[0]), buffers=[data], **content)


def test_a_text_has_one_vector_and_a_list_of_texts_as_many_as_texts(bench: LuaBench) -> None:
    bench.kernel.answers["model embed"] = vectors((0.5, -1.0))
    assert bench.value("return LocalLLM.embed('a')") == [0.5, -1.0]
    assert asked(bench) == {"action": "embed", "input": ["a"]}
    bench.kernel.answers["model embed"] = vectors((0.5, 1.0), (2.0, 3.0))
    code = "local v, info = LocalLLM.embed({'a', 'b'}, 'm') return {v, info.model, info.dimensions}"
    assert bench.value(code) == [[[0.5, 1.0], [2.0, 3.0]], "e", 2]
    assert asked(bench) == {"action": "embed", "input": ["a", "b"], "model": "m"}


def test_no_texts_are_refused_by_the_kernel_as_an_empty_list(bench: LuaBench) -> None:
    bench.kernel.answers["model embed"] = refused("invalid_request", "input: at least one text is needed")
    assert bench.caught("LocalLLM.embed({})") == "Validation error: input: at least one text is needed"
    assert bench.kernel.requests[-1][1]["input"] == []


def test_a_warning_about_the_embedding_model_is_shown_once(bench: LuaBench) -> None:
    bench.kernel.answers["model embed"] = vectors((1.0,), warnings=["no embedding model is installed"])
    bench.run("LocalLLM.embed('a') LocalLLM.embed('b')")
    assert bench.kernel.errors == "warning: no embedding model is installed\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("LocalLLM.chat{}", "Validation error: LocalLLM.chat needs a prompt or messages"),
        ("LocalLLM.chat(5)", "bad argument #1 to 'LocalLLM.chat' (table expected, got number)"),
        ("LocalLLM.chat{prompt = 5}", "bad argument #1 to 'LocalLLM.chat: prompt' (string expected, got number)"),
        ("LocalLLM.chat{prompt = 'x', temprature = 0}", "has no option 'temprature'; did you mean 'temperature'?"),
        ("LocalLLM.chat('x', {})", "bad argument #2 to 'LocalLLM.chat' (function expected, got table)"),
        ("LocalLLM.generate('x', {system = 'y'})", "LocalLLM.generate has no option 'system'"),
        ("LocalLLM.embed('x', {modle = 'y'})", "LocalLLM.embed has no option 'modle'; did you mean 'model'?"),
        ("LocalLLM.embed(5)", "bad argument #1 to 'LocalLLM.embed' (string or table expected, got number)"),
        ("LocalLLM.load('m', {keepalive = 1})", "LocalLLM.load has no option 'keepalive'; did you mean 'keep_alive'?"),
        (
            "Agent.create{sytem_prompt = 'x'}",
            "Agent.create has no option 'sytem_prompt'; did you mean 'system_prompt'?",
        ),
        ("Agent.create{max_token = 3, temprature = 0}", "no option 'max_token'; did you mean 'max_tokens'?"),
        ("Agent.create{model = {nmae = 'x'}}", "Agent.create: model has no option 'nmae'; did you mean 'name'?"),
        ("Agent.create{model = {settings = {topp = 1}}}", "no option 'topp'; did you mean 'top_p'?"),
        ("Agent.create{resource_limits = {max_memory = 1}}", "no option 'max_memory'; did you mean 'max_memory_mb'?"),
        ("Agent.builder():resource_limits{wrong = 1}", "resource_limits has no option 'wrong'; it has max_execution"),
        (
            "LocalLLM.chat{prompt = 'x', temprature = 0, max_tokes = 5}",
            "has no option 'max_tokes'; did you mean 'max_tokens'? and no 'temprature'; did you mean 'temperature'?",
        ),
        ("Agent.builder():resource_limits{zz = 1, yy = 1}", "has no option 'yy' and no 'zz'; it has max_execution"),
        ("Agent.create{'x'}", "Agent.create has no option '1'"),
    ],
)
def test_what_is_misspelt_or_of_another_type_is_refused(bench: LuaBench, code: str, message: str) -> None:
    assert message in bench.caught(code)


@pytest.mark.parametrize("options", ["{temprature = 0}", "{seeds = 1}"])
def test_an_agents_turn_takes_no_option_that_it_does_not_have(bench: LuaBench, options: str) -> None:
    bench.kernel.answers["agent create"] = reply(agent={"id": "1", "name": "a", "model": "m", "provider": "candle"})
    assert "did you mean" in bench.caught(f"Agent.create{{}}:execute('x', {options})")


def test_an_agents_input_takes_no_key_that_it_does_not_have(bench: LuaBench) -> None:
    bench.kernel.answers["agent create"] = reply(agent={"id": "1", "name": "a", "model": "m", "provider": "candle"})
    assert "did you mean 'text'?" in bench.caught("Agent.create{}:execute{text = 'x', texts = 'y'}")


@pytest.mark.parametrize("action", ["chat", "generate"])
def test_a_failing_answer_raises_its_text(bench: LuaBench, action: str) -> None:
    bench.kernel.answers[f"model {action}"] = refused("context_length_exceeded", "too long")
    assert bench.caught(f"LocalLLM.{action}('x')") == "LLM provider error: too long"
    assert bench.caught(f"LocalLLM.{action}('x', function() end)") == "LLM provider error: too long"

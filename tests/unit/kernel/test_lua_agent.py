"""Agent: from builder rows and configuration tables to requests, and from replies to output tables."""

from __future__ import annotations

import base64
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.scripting.lua.files import Files
from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.models import SamplingOptions
from tests.support.lua_kernel import LuaBench, refused, reply

SUMMARY = {"id": "a1", "name": "helper", "type": "llm", "model": "mock/x", "provider": "mock", "description": "d"}
ANSWER = {
    "agent": SUMMARY,
    "text": "hello",
    "message": {"role": "assistant", "content": "hello", "tool_calls": []},
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    "timings": {"decode_ms": 2.0},
    "model": "mock/x",
    "backend": "mock",
}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["agent create"] = reply(agent=SUMMARY)
    bench.kernel.answers["agent execute"] = reply(**ANSWER)
    return bench


def _created(bench: LuaBench) -> dict[str, Any]:
    return next(content for _, content in bench.kernel.requests if content["action"] == "create")


def _executed(bench: LuaBench) -> dict[str, Any]:
    return next(content for _, content in bench.kernel.requests if content["action"] == "execute")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{model = 'local/llama3.1:8b'}", {"model": "local/llama3.1:8b"}),
        ("{}", {}),
        (
            "{name = 'n', system_prompt = 's', temperature = 0.5}",
            {"name": "n", "system_prompt": "s", "temperature": 0.5},
        ),
        ("{model = 'tinyllama', provider = 'candle'}", {"model": "tinyllama@candle"}),
        ("{model = 'gpt-4', provider = 'openai'}", {"model": "openai/gpt-4"}),
        ("{model = 'openai/gpt-4', provider = 'openai'}", {"model": "openai/gpt-4"}),
        ("{model = 'm', backend = 'ollama'}", {"model": "m@ollama"}),
        ("{model = {provider = 'ollama', model_id = 'm', temperature = 1}}", {"model": "m@ollama", "temperature": 1}),
        ("{model = {model_id = 'm', settings = {top_k = 4}}, top_k = 5}", {"model": "m", "top_k": 5}),
        ("{custom_config = {system_prompt = 's', max_tokens = 9, other = 1}}", {"system_prompt": "s", "max_tokens": 9}),
        ("{system_prompt = 'mine', custom_config = {system_prompt = 's'}}", {"system_prompt": "mine"}),
        ("{resource_limits = {max_execution_time_secs = 5}}", {"max_execution_time_s": 5}),
        ("{type = 'basic'}", {"type": "basic"}),
        ("{agent_type = 'llm', capabilities = {'x'}, tools = {}}", {}),
        ("{provider = 'candle'}", {"provider": "candle"}),
        ("{model = 'm', device = 'cpu', num_beams = 3}", {"model": "m", "device": "cpu", "num_beams": 3}),
        ("{model = 'm', speculation = 'ngram'}", {"model": "m", "speculation": "ngram"}),
        ("{tools = {'a', {name = 'b'}}}", {"tools": ["a", "b"]}),
        ("{allowed_tools = {'a'}, tool_mode = 'schema'}", {"tools": ["a"], "tool_mode": "schema"}),
        ("{max_execution_time_secs = 5}", {"max_execution_time_s": 5}),
        ("{max_execution_time = 5}", {"max_execution_time_s": 5}),
        (
            "{resource_limits = {max_tool_calls = 3, max_recursion_depth = 2}}",
            {"max_tool_calls": 3, "max_recursion_depth": 2},
        ),
        (
            "{max_tool_calls = 3, max_tokens_total = 9, max_conversation_tokens = 8, summarize = true}",
            {"max_tool_calls": 3, "max_tokens_total": 9, "max_conversation_tokens": 8, "summarize": True},
        ),
        ("{max_conversation_length = 4, context_window = 512}", {"max_conversation_length": 4, "num_ctx": 512}),
    ],
)
def test_create_accepts_every_form_of_a_configuration(bench: LuaBench, config: str, expected: dict[str, Any]) -> None:
    bench.run(f"agent = Agent.create{config}")
    content = _created(bench)
    options = content.pop("options") or {}
    assert {key: value for key, value in {**content, **options}.items() if key != "action"} == expected


def test_create_async_is_create(bench: LuaBench) -> None:
    assert bench.value("return Agent.createAsync{model = 'mock/x'}.name") == "helper"


@pytest.mark.parametrize("option", [option.name for option in fields(SamplingOptions)])
def test_every_sampling_option_is_a_row_of_the_builder_and_a_key_of_a_table(bench: LuaBench, option: str) -> None:
    given, sent = ("'x'", ["x"]) if option == "stop" else ("1", 1)
    bench.run(f"Agent.builder():model('m'):{option}({given}):build()")
    assert _created(bench)["options"] == {option: sent}
    bench.kernel.requests.clear()
    bench.run(f"Agent.create{{model = 'm', {option} = {given if sent == 1 else '{' + given + '}'}}}")
    assert _created(bench)["options"] == {option: sent}


@pytest.mark.parametrize("backend", LOCAL_BACKENDS)
def test_a_local_backend_as_a_provider_is_the_models_backend(bench: LuaBench, backend: str) -> None:
    bench.run(f"Agent.create{{model = 'm', provider = '{backend}'}}")
    assert _created(bench)["model"] == f"m@{backend}"


@pytest.mark.parametrize(
    "code",
    [
        "Agent.create{model = 'm', schema = 'name, year int'}",
        "Agent.builder():model('m'):schema('name, year int'):build()",
    ],
)
def test_a_schema_may_be_written_as_its_fields(bench: LuaBench, code: str) -> None:
    bench.run(code)
    properties = {"name": {"type": "string"}, "year": {"type": "integer"}}
    assert _created(bench)["schema"] == {"type": "object", "properties": properties, "required": ["name", "year"]}


@pytest.mark.parametrize("dot", [":", "."])
def test_every_row_of_the_builder_reaches_the_request(bench: LuaBench, dot: str) -> None:
    code = """
    return Agent.builder():name("n"):description("d"):type("llm"):model("m"):provider("candle"):system_prompt("s")
      :temperature(0.5):max_tokens(9):top_p(0.9):top_k(4):seed(7):num_beams(2):device("cuda"):speculation("off"):stop("x")
      :schema({type = "object"})
      :custom_config({min_p = 0.1, temperature = 9}):resource_limits({max_execution_time_secs = 9, max_memory_mb = 1})
      :max_execution_time(5):max_memory_mb(64):max_tool_calls(3):max_recursion_depth(2):max_conversation_length(8)
      :context_window(512):capability("chat"):memory_enabled(true):stream(true):tool_mode("native"):summarize(true)
      :allow_tool("t1"):tool("t2"):allowed_tools({"t3"}):tools({"t4", {name = "t5"}})
      :max_tokens_total(99):max_conversation_tokens(88):build().id
    """
    assert bench.value(code.replace(":", dot) if dot == "." else code) == "a1"
    assert _created(bench) == {
        "action": "create",
        "name": "n",
        "description": "d",
        "model": "m@candle",
        "system_prompt": "s",
        "schema": {"type": "object"},
        "device": "cuda",
        "speculation": "off",
        "max_conversation_length": 8,
        "max_execution_time_s": 5,
        "max_conversation_tokens": 88,
        "max_tokens_total": 99,
        "max_tool_calls": 3,
        "max_recursion_depth": 2,
        "summarize": True,
        "tools": ["t1", "t2", "t3", "t4", "t5"],
        "tool_mode": "native",
        "options": {
            "temperature": 0.5,
            "max_tokens": 9,
            "top_p": 0.9,
            "top_k": 4,
            "seed": 7,
            "num_beams": 2,
            "stop": ["x"],
            "min_p": 0.1,
            "num_ctx": 512,
        },
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "Model is required"),
        (":model('m'):allow_tool(5)", r"bad argument #1 to 'allow_tool' (string expected, got number)"),
        (":model('m'):tool()", r"bad argument #1 to 'tool' (string expected, got no value)"),
        (":model('m'):tools({'calculator', true})", r"bad argument #2 to 'tools' (string expected, got boolean)"),
        (":model('m'):api_key('secret')", "api_key of an agent can't be set"),
        (":model('m'):base_url('http://x')", "base_url of an agent can't be set"),
        (":temperature('hot')", r"bad argument #1 to 'temperature' (number expected, got string)"),
    ],
)
def test_what_cannot_be_built_says_why(bench: LuaBench, rows: str, message: str) -> None:
    caught = bench.caught(f"Agent.builder(){rows}:build()")
    assert message in caught
    assert "secret" not in caught
    assert bench.kernel.requests == []


def test_an_agent_has_fields(bench: LuaBench) -> None:
    code = """
    local a = Agent.create{model = 'mock/x'}
    return {a.id, a.name, a.model, a.provider, a.type, a.success, a.result == a, a.error == nil}
    """
    assert bench.value(code) == ["a1", "helper", "mock/x", "mock", "llm", True, True, True]


@pytest.mark.parametrize("method", ["execute", "invoke", "run", "chat"])
@pytest.mark.parametrize("dot", [":", "."])
def test_execute_gives_the_output_table(bench: LuaBench, method: str, dot: str) -> None:
    output = bench.value(f"local a = Agent.create{{model = 'mock/x'}} return a{dot}{method}('hi')")
    assert (output["text"], output["content"], output["output"], output["success"]) == ("hello", "hello", "hello", True)
    assert output["result"]["content"] == "hello"
    assert output["result"]["usage"]["completion_tokens"] == 1
    assert output["metadata"]["model"] == "mock/x"
    assert output["metadata"]["token_count"] == 1
    assert output["metadata"]["execution_time_ms"] == output["duration_ms"]
    assert "error" not in output
    assert _executed(bench)["input"] == "hi"
    assert _executed(bench)["agent"] == "a1"
    assert _executed(bench)["stream"] is False


@pytest.mark.parametrize("key", ["text", "prompt", "input", "instruction", "message", "query"])
def test_the_input_may_be_a_table(bench: LuaBench, key: str) -> None:
    bench.run(f"Agent.create{{}}:execute({{{key} = 'hi', parameters = {{n = 1}}, context = {{who = 'me'}}}})")
    content = _executed(bench)
    assert (content["input"], content["parameters"], content["context"]) == ("hi", {"n": 1}, {"who": "me"})


def test_input_that_an_agent_cannot_take_is_refused(bench: LuaBench) -> None:
    assert bench.caught("Agent.create{}:execute({})") == "Agent input requires 'text' field"
    sound = "Agent.create{}:execute({text = 'x', media = {{type = 'audio', base64 = 'eA=='}}})"
    assert "agents are shown images only, not 'audio'" in bench.caught(sound)
    assert "string or table expected" in bench.caught("Agent.create{}:execute(5)")


def test_complete_and_generate_give_the_text(bench: LuaBench) -> None:
    assert bench.value("local a = Agent.create{} return {a:complete('x'), a.generate('y')}") == ["hello", "hello"]


def test_options_of_one_turn_go_with_it(bench: LuaBench) -> None:
    bench.run("Agent.create{memory_enabled = false}:execute('x', {temperature = 0})")
    assert _executed(bench)["options"] == {"temperature": 0}
    assert _executed(bench)["remember"] is False


def test_text_that_is_json_is_parsed_as_well(bench: LuaBench) -> None:
    bench.kernel.answers["agent execute"] = reply(**{**ANSWER, "text": '{"a": [1]}'})
    assert bench.value("return Agent.create{}:execute('x').data") == {"a": [1]}


DELTAS = [("progress", {"phase": "prefill"}), ("delta", {"text": "hel"}), ("delta", {"text": "lo"})]


@pytest.mark.parametrize("arguments", ["'x', visit", "'x', visit, {seed = 1}", "'x', {seed = 1}, visit"])
def test_a_stream_gives_real_pieces(bench: LuaBench, arguments: str) -> None:
    bench.kernel.answers["agent execute"] = [*DELTAS, ("reply", {"status": "ok", **ANSWER})]
    code = f"""
    local seen = {{}}
    local function visit(chunk) seen[#seen + 1] = chunk.type .. chunk.index .. chunk.text end
    local result = Agent.create{{}}:invokeStream({arguments})
    return {{seen = seen, success = result.success, count = result.chunks_received, text = result.text}}
    """
    assert bench.value(code) == {
        "seen": ["text1hel", "text2lo", "done3"],
        "success": True,
        "count": 2,
        "text": "hello",
    }
    assert _executed(bench)["stream"] is True


def test_a_callback_that_returns_false_stops_the_stream(bench: LuaBench) -> None:
    bench.kernel.answers["agent execute"] = [*DELTAS, ("reply", {"status": "ok", **ANSWER})]
    result = bench.value("return Agent.create{}:invokeStream('x', function() return false end)")
    assert (result["text"], result["chunks_received"]) == ("hel", 1)
    assert bench.kernel.closed == [2]


def test_a_tool_that_begins_and_ends_is_a_chunk(bench: LuaBench) -> None:
    started = {"phase": "started", "id": "c1", "name": "calculator", "arguments": {"input": "1"}}
    ended = {**started, "phase": "ended", "success": True, "result": {"result": 1}, "duration_ms": 2.5}
    events = [("delta", {"tool": started}), ("delta", {"tool": ended}), *DELTAS]
    bench.kernel.answers["agent execute"] = [*events, ("reply", {"status": "ok", **ANSWER})]
    code = """
    local chunks = {}
    for chunk in Agent.create{}:stream('x') do chunks[#chunks + 1] = chunk end
    return {{chunks[1].type, chunks[1].index, chunks[1].text}, chunks[1].tool, chunks[2].tool, chunks[4].index}
    """
    assert bench.value(code) == [["tool", 1, ""], started, ended, 4]


CALLS = [{"name": "calculator", "arguments": {"input": "1"}, "success": True, "result": 1, "duration_ms": 2.5}]


def test_a_turn_that_a_limit_ended_is_no_success(bench: LuaBench) -> None:
    ended = {**ANSWER, "limit": "max_tool_calls", "tool_calls": CALLS}
    bench.kernel.answers["agent execute"] = reply(**ended)
    output = bench.value("local r = Agent.create{}:execute('x') r.said = 'no: ' .. r.error return r")
    message = "Resource limit exceeded: the turn of agent 'helper' was ended by its max_tool_calls"
    assert (output["success"], output["said"], output["limit"]) == (False, f"no: {message}", "max_tool_calls")
    assert output["error"] == {"message": message, "code": "max_tool_calls"}
    assert output["tool_calls"] == CALLS
    assert not {"text", "content", "output"} & set(output)
    assert output["result"]["content"] == "hello"
    assert bench.caught("Agent.create{}:complete('x')") == message
    bench.kernel.answers["agent execute"] = [*DELTAS, ("reply", {"status": "ok", **ended})]
    streamed = bench.value("return Agent.create{}:invokeStream('x', function() end)")
    assert (streamed["success"], streamed["limit"]) == (False, "max_tool_calls")


def test_an_answer_after_failed_calls_is_a_success(bench: LuaBench) -> None:
    dropped = {"messages": 2, "summarized": False}
    bench.kernel.answers["agent execute"] = reply(**{**ANSWER, "limit": "failed_calls", "dropped": dropped})
    output = bench.value("return Agent.create{}:execute('x')")
    assert (output["success"], output["text"], output["limit"]) == (True, "hello", "failed_calls")
    assert output["dropped"] == dropped


def test_an_error_in_a_callback_is_the_scripts_own(bench: LuaBench) -> None:
    bench.kernel.answers["agent execute"] = [*DELTAS, ("reply", {"status": "ok", **ANSWER})]
    failure = bench.failure("local a = Agent.create{}\nlocal r = a:invokeStream('x', function()\n  error('mine')\nend)")
    assert (failure.message, failure.line) == ("test.lua:3: mine", 3)


def test_without_a_callback_a_stream_can_be_pulled(bench: LuaBench) -> None:
    bench.kernel.answers["agent execute"] = [*DELTAS, ("reply", {"status": "ok", **ANSWER})]
    code = "local t = {} for chunk in Agent.create{}:stream('x') do t[#t + 1] = chunk.text end return t"
    assert bench.value(code) == ["hel", "lo", ""]


def test_a_failing_turn_raises_a_string_with_its_prefix(bench: LuaBench) -> None:
    bench.kernel.answers["agent execute"] = refused("context_length_exceeded", "prompt of 9 tokens")
    assert bench.caught("Agent.create{}:execute('x')") == "LLM provider error: prompt of 9 tokens"
    assert bench.caught("Agent.create{}:invokeStream('x', print)") == "LLM provider error: prompt of 9 tokens"


def test_history_is_read_and_cleared_and_a_destroyed_agent_is_gone(bench: LuaBench) -> None:
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    bench.kernel.answers["agent info"] = reply(agent={**SUMMARY, "history": history})
    bench.kernel.answers["agent reset"] = reply(agent=SUMMARY, removed=2)
    bench.kernel.answers["agent delete"] = reply(agent=SUMMARY)
    assert bench.value("agent = Agent.create{} return agent:get_history()") == history
    bench.run("agent:clear_history() agent:destroy()")
    assert [content["action"] for _, content in bench.kernel.requests] == ["create", "info", "reset", "delete"]
    assert bench.caught("agent:execute('x')") == "Agent 'helper' has been destroyed"


# What a script notes about an agent


def test_values_of_an_agent_are_kept_in_state_under_its_name(bench: LuaBench) -> None:
    bench.kernel.answers["state set_many"] = reply(count=2)
    bench.value("Agent.create{}:set_state({mood = 'good', n = 2})")
    kind, content = bench.kernel.requests[-1]
    assert kind == "state_request"
    assert (content["action"], content["scope"]) == ("set_many", "agent:helper")
    assert {one["key"]: one["value"] for one in content["entries"]} == {"mood": "good", "n": 2}
    assert "table expected" in bench.caught("Agent.create{}:set_state('x')")


def test_alerts_of_an_agent_are_data_of_the_script(bench: LuaBench) -> None:
    bench.kernel.answers["agent get"] = reply(agent=SUMMARY)
    found = bench.value("""
        local agent = Agent.create{}
        assert(#agent:get_alerts() == 0)
        agent:configure_alerts{name = 'slow', severity = 'error', condition = {type = 'duration', above_ms = 5}}
        agent:configure_alerts{name = 'failing'}
        agent:configure_alerts{name = 'slow', enabled = false}
        agent:get_alerts()[1].name = 'changed'
        local one, two = table.unpack(agent:get_alerts())
        return {one.name, one.severity, one.enabled, one.cooldown_seconds, two.name, #agent:get_alerts()}
    """)
    assert found == ["slow", "warning", False, 300, "failing", 2]
    assert "severity must be info" in bench.caught("Agent.create{}:configure_alerts{name = 'x', severity = 'y'}")
    assert "name" in bench.caught("Agent.create{}:configure_alerts{}")


def test_an_event_of_an_agent_is_a_line_in_the_log(bench: LuaBench) -> None:
    bench.value("Agent.create{}:logEvent('handover', 'to ada')")
    assert bench.kernel.logged[-1] == ("INFO", "to ada", "agent.helper", {"event": "handover"})
    assert "string expected" in bench.caught("Agent.create{}:logEvent('handover')")


@pytest.mark.parametrize("length", [0, 1, 2, 3, 1000])
def test_images_go_along_as_files_data_and_what_tools_give(bench: LuaBench, tmp_path: Path, length: int) -> None:
    data = bytes(number % 256 for number in range(length))
    (tmp_path / "x.png").write_bytes(data)
    bench.place(Files(None, str(tmp_path)))
    bench.run(
        f"local path = '{tmp_path}/x.png'"
        + """
        local file = io.open(path, 'rb')
        local data = file:read('a')
        Agent.create{}:execute{text = 'what is it', image = path, media = {
          {type = 'image', path = path}, {type = 'image', format = 'png', base64 = 'iVBO'}, {data = data},
        }}
    """
    )
    written = base64.b64encode(data).decode()
    assert _executed(bench)["images"] == [written, written, "iVBO", written]


def test_an_image_that_cannot_be_read_is_an_error_of_its_file(bench: LuaBench) -> None:
    assert "nosuch.png" in bench.caught("Agent.create{}:execute{text = 'x', image = 'nosuch.png'}")
    assert "path, base64 or data" in bench.caught("Agent.create{}:execute{text = 'x', media = {{type = 'image'}}}")

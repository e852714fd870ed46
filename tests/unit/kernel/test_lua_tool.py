"""The global `Tool`: what it asks the kernel for, and what scripts get of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, refused, reply

CALLED: dict[str, Any] = {
    "tool": "base64-encoder",
    "operation": "encode",
    "success": True,
    "result": {"output": "eA==", "variant": "standard"},
    "output": "eA==",
    "text": "eA==",
    "message": "encoded 1 byte",
    "error": None,
    "metadata": {"bytes": 1},
    "media": [],
    "fields": {"file": {"path": "x", "size": 4}},
    "duration_ms": 12.75,
}
REFUSED = {**CALLED, "success": False, "result": None, "output": None, "error": {"message": "no", "code": "tool_error"}}
ITEM = {"description": "d", "version": "1", "security_level": "safe", "source": "builtin", "needs": []}
SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "description": "how many", "default": 3},
        "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]},
        "kind": {"enum": ["a", "b"]},
        "maybe": {"anyOf": [{"type": "number"}, {"type": "integer"}, {"type": "null"}]},
        "named": {"$ref": "#/$defs/Named"},
        "several": {"type": ["string", "null"]},
        "value": {"description": "anything"},
    },
    "required": ["value"],
    "$defs": {"Named": {"type": "object"}},
}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["tool invoke"] = reply(**CALLED)
    bench.kernel.answers["tool info"] = reply(
        tool={**ITEM, "name": "base64-encoder", "category": "utility", "parameters": SCHEMA}
    )
    bench.kernel.answers["tool list"] = reply(
        tools=[{**ITEM, "name": name, "category": category} for name, category in (("a", "web"), ("b", "data"))],
        problems=["the server 'x' does not answer"],
    )
    bench.kernel.answers["tool register"] = reply(tool="mine")
    return bench


@pytest.mark.parametrize(
    "call",
    [
        "Tool.execute('base64-encoder', {input = 'x'})",
        "Tool:execute('base64-encoder', {input = 'x'})",
        "Tools.execute('base64-encoder', {input = 'x'})",
        "Tool.get('base64-encoder'):execute({input = 'x'})",
        "Tool.get('base64-encoder').execute({input = 'x'})",
        "Tool.create('base64-encoder', {}):execute{input = 'x'}",
        "Tool.base64_encoder:execute{input = 'x'}",
        "Tool['base64-encoder'].execute{input = 'x'}",
    ],
)
def test_every_way_to_call_a_tool_asks_for_the_same(bench: LuaBench, call: str) -> None:
    assert bench.value(f"return {call}.output") == "eA=="
    assert bench.kernel.requests[-1] == (
        "tool_request",
        {"action": "invoke", "tool": "base64-encoder", "parameters": {"input": "x"}},
    )


def test_the_output_has_the_envelope_laid_flat(bench: LuaBench) -> None:
    output = bench.value("return Tool.execute('x')")
    assert output == {
        "success": True,
        "operation": "encode",
        "message": "encoded 1 byte",
        "result": CALLED["result"],
        "data": CALLED["result"],
        "output": "eA==",
        "text": "eA==",
        "media": [],
        "metadata": {"execution_time_ms": 12, "bytes": 1, "extra": {"bytes": 1}},
        "file": {"path": "x", "size": 4},
        "duration_ms": 12,
    }
    raw = bench.value("return JSON.parse(Tool.execute('x')._raw_text)")
    assert raw == {
        **{name: CALLED[name] for name in ("operation", "success", "message", "result", "metadata")},
        **CALLED["fields"],
    }


def test_a_refusal_of_the_operation_is_no_error_and_reads_as_its_message(bench: LuaBench) -> None:
    bench.kernel.answers["tool invoke"] = reply(**REFUSED)
    code = """
        local r = Tool.execute('x')
        local e = r.error
        return {r.success, r.text == nil, tostring(e), 'a ' .. e, e .. ' b', e:upper(), e:match('n'), e.message, e.code,
                string.format('%s', e), r._raw_text:match('"error":{[^}]*}')}
    """
    assert bench.value(code) == [
        *(False, True, "no", "a no", "no b", "NO", "n", "no", "tool_error", "no"),
        '"error":{"code":"tool_error","message":"no"}',
    ]


@pytest.mark.parametrize(
    ("code", "message", "text"),
    [
        ("tool_not_found", "Tool 'x' not found", "Tool 'x' not found"),
        (
            "invalid_request",
            "Missing required parameter 'input'",
            "Validation error: Missing required parameter 'input'",
        ),
        ("forbidden", "Path not allowed: /etc", "Security violation: Path not allowed: /etc"),
        ("timeout", "tool 'x' timed out after 1s", "Timeout error: tool 'x' timed out after 1s"),
        ("tool_error", "m", "Tool execution error: m"),
        ("worker_crashed", "m", "Tool execution error: m"),
        ("busy", "rate limit: 3 calls in a minute", "Rate limit error: rate limit: 3 calls in a minute"),
        ("busy", "the kernel is shutting down", "Resource error: the kernel is shutting down"),
    ],
)
def test_what_raises_is_a_text_with_its_prefix(bench: LuaBench, code: str, message: str, text: str) -> None:
    bench.kernel.answers["tool invoke"] = refused(code, message, "do that")
    assert bench.caught("Tool.execute('x')") == text
    failure = bench.failure("Tool.execute('x')")
    assert failure.cause is not None
    assert (failure.cause["code"], failure.cause["hint"]) == (code, "do that")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("Tool.execute()", "bad argument #1 to 'Tool.execute' (string expected, got no value)"),
        ("Tool.execute('x', 'y')", "bad argument #2 to 'Tool.execute' (table expected, got string)"),
        ("Tool.get({})", "bad argument #1 to 'Tool.get' (string expected, got table)"),
        ("Tool.get('x'):execute('y')", "bad argument #1 to 'tool.execute' (table expected, got string)"),
        ("Tool.discover{kind = 'web'}", "Validation error: Tool.discover has no option 'kind'; it has category, tag"),
        ("Tool.batch{{params = {}}}", "bad argument #1 to 'Tool.batch: call 1: name' (string expected, got no value)"),
        ("Tool.batch{'x'}", "bad argument #1 to 'Tool.batch: call 1' (table expected, got string)"),
        (
            "Tool.register{name = 'm', description = 'd'}",
            "bad argument #1 to 'Tool.register: execute' (function expected, got no value)",
        ),
        (
            "Tool.register{name = 'm', descripton = 'd'}",
            "Validation error: Tool.register has no option 'descripton'; did you mean 'description'?",
        ),
        ("Tool.execute('x', {f = print})", "Validation error: Unsupported Lua type for JSON conversion"),
    ],
)
def test_wrong_arguments_are_named(bench: LuaBench, call: str, text: str) -> None:
    assert bench.caught(call) == text


def test_an_unknown_tool_is_nil_where_it_is_looked_up_and_an_error_where_it_is_made(bench: LuaBench) -> None:
    bench.kernel.answers["tool info"] = refused("tool_not_found", "Tool 'x' not found")
    code = """
        return {Tool.get('x') == nil, Tool.x == nil, Tool.get_info('x') == nil, Tool.get_schema('x') == nil,
                Tool.exists('x'), Tool.is_available('x'), Tool[1] == nil}
    """
    assert bench.value(code) == [True, True, True, True, False, False, True]
    assert bench.caught("Tool.create('x')") == "Tool 'x' not found"
    assert bench.failure("Tool.excute('x')").hint == "did you mean 'execute'?"


def test_a_look_up_that_fails_otherwise_raises(bench: LuaBench) -> None:
    bench.kernel.answers["tool info"] = refused("internal", "m")
    assert bench.caught("Tool.exists('x')") == "Internal error: m"
    assert bench.caught("return Tool.x") == "Internal error: m"


def test_a_schema_is_a_list_of_parameters_with_those_that_are_needed_first(bench: LuaBench) -> None:
    code = "local t = Tool.get('x') assert(t.schema == t:getSchema() and t.getSchema() == t.schema) return t.schema"
    schema = bench.value(code)
    assert bench.value("return Tool.get_schema('x')") == schema == bench.value("return Tool.get_info('x').schema")
    assert {key: schema[key] for key in ("name", "description")} == {"name": "base64-encoder", "description": "d"}
    assert schema["parameters"][:2] == [
        {"name": "value", "type": "any", "description": "anything", "required": True},
        {"name": "count", "type": "number", "description": "how many", "required": False, "default": 3},
    ]
    assert {one["name"]: one["type"] for one in schema["parameters"]} == {
        "value": "any",
        "count": "number",
        "either": "any",
        "kind": "string",
        "maybe": "number",
        "named": "object",
        "several": "string",
    }


def test_items_of_a_list_are_their_names_where_a_text_is_needed(bench: LuaBench) -> None:
    code = """
        local list = Tool.list()
        return {#list, tostring(list[1]), '- ' .. list[2], list[1].category, JSON.stringify(Tool.categories())}
    """
    assert bench.value(code) == [2, "a", "- b", "web", '["data","web"]']
    assert bench.kernel.logged[0][:2] == ("warn", "Tool.list: the server 'x' does not answer")


def test_discover_asks_for_a_category_or_searches(bench: LuaBench) -> None:
    bench.kernel.answers["tool search"] = reply(matches=[], query="m", count=0)
    assert len(bench.value("return Tool.discover()")) == 2
    bench.run("Tool.discover{category = 'web'}")
    assert bench.kernel.requests[-1][1] == {"action": "list", "category": "web"}
    assert bench.value("return Tool.discover{tag = 'math', category = 'data'}") == []
    assert bench.kernel.requests[-1][1] == {"action": "search", "query": "math", "category": "data"}


def test_a_batch_asks_for_all_before_it_waits_for_one(bench: LuaBench) -> None:
    asked: list[int] = []
    bench.kernel.before_event = lambda: asked.append(len(bench.kernel.requests))
    outputs = bench.value("return Tool.batch{{name = 'x', params = {a = 1}}, {tool = 'y'}}")
    assert [output["success"] for output in outputs] == [True, True]
    assert asked == [2, 2]


def test_a_call_of_a_batch_fails_alone(bench: LuaBench) -> None:
    bench.kernel.answers["tool invoke"] = refused("worker_crashed", "m")
    output = bench.value("return Tool.batch{{name = 'x'}}")[0]
    assert output["success"] is False
    assert output["error"] == {"message": "Tool execution error: m", "code": "worker_crashed"}
    assert bench.value("return Tool.batch{}") == []


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        ("nil", None),
        ("'name, age int'", {"name": {"type": "string"}, "age": {"type": "integer"}}),
        ("{{name = 'x', type = 'number', required = true}, {name = 'y'}}", {"x": {"type": "number"}, "y": {}}),
        ("{type = 'object', properties = {x = {type = 'number'}}}", {"x": {"type": "number"}}),
    ],
)
def test_a_scripts_tool_says_its_parameters_in_each_form(bench: LuaBench, parameters: str, schema: Any) -> None:
    bench.run(f"Tool.register{{name = 'm', description = 'd', parameters = {parameters}, execute = function() end}}")
    content = next(content for _, content in bench.kernel.requests if content["action"] == "register")
    assert content["execute"] == {"$fn": 1}
    assert (content.get("parameters") or {}).get("properties") == schema


def test_what_is_no_parameter_of_a_list_is_named(bench: LuaBench) -> None:
    wrong = "Tool.register{name = 'm', description = 'd', parameters = {{nme = 'x'}}, execute = print}"
    assert bench.caught(wrong).startswith(
        "Validation error: Tool.register: parameter 1 has no option 'nme'; did you mean 'name'?"
    )

"""Schemas and tools asked for over a socket: whichever way they come, and in both encodings, wrong ones are told by
place, and no model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import InvalidRequest, LlmspellError, SchemaUnsupported
from tests.support.kernels import KernelProcess
from tests.support.schema_table import nested

HELLO = [{"role": "user", "content": "hi"}]
WRONG = [
    ({"type": "string", "minLength": 5, "maxLength": 2}, SchemaUnsupported, "/minLength"),
    ({"properties": ["a"]}, InvalidRequest, "/properties"),
    ({"enum": [f"v{number}" for number in range(100_000)]}, SchemaUnsupported, "/enum"),
    ({"type": "object", "properties": {"a": {"$ref": "https://x/y"}}}, SchemaUnsupported, "/properties/a/$ref"),
    (nested(90), SchemaUnsupported, ""),
]
LABELS = ["contradicting", "malformed", "huge", "remote", "deep"]


@pytest.fixture(params=["msgpack", "json"])
def client(kernel: KernelProcess, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A connected client of each encoding."""
    with Client(kernel.info, encoding=request.param).connect(60.0) as connected:
        yield connected


def refused(client: Client, kind: str, content: dict[str, Any]) -> LlmspellError:
    """The error that a request gets."""
    with pytest.raises(LlmspellError) as caught:
        client.request(kind, content).result(60)
    return caught.value


@pytest.mark.parametrize(("schema", "error", "at"), WRONG, ids=LABELS)
def test_a_wrong_schema_is_refused_for_chats_prompts_and_agents(
    client: Client, schema: dict[str, Any], error: type[LlmspellError], at: str
) -> None:
    said = [
        refused(client, "model_request", {"action": "chat", "model": "mock/a", "messages": HELLO, "schema": schema}),
        refused(client, "model_request", {"action": "generate", "model": "mock/a", "prompt": "a", "schema": schema}),
        refused(
            client,
            "model_request",
            {"action": "generate", "model": "mock/a", "prompt": "a", "raw": True, "schema": schema},
        ),
    ]
    client.request("agent_request", {"action": "create", "name": "ada", "model": "mock/a", "schema": schema}).result(60)
    said.append(refused(client, "agent_request", {"action": "execute", "agent": "ada", "input": "hi"}))
    for one in said:
        assert isinstance(one, error)
        assert one.details["at"] == at


@pytest.mark.parametrize(("schema", "error", "at"), WRONG, ids=LABELS)
def test_wrong_parameters_of_a_tool_are_refused(
    client: Client, schema: dict[str, Any], error: type[LlmspellError], at: str
) -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}},
    }
    asked = {"action": "chat", "model": "mock/a", "messages": HELLO, "tools": [tool]}
    said = refused(client, "model_request", asked)
    assert isinstance(said, error)
    assert said.details["at"] in (f"/tools/0/function/parameters/properties/a{at}", "/tools")


@pytest.mark.slow
@pytest.mark.parametrize("schema", [WRONG[0][0], {"type": "string", "contentEncoding": "base64"}], ids=str)
def test_a_model_is_not_even_loaded_for_a_schema_that_its_engine_could_not_hold(
    kernel: KernelProcess, smollm2_path: Path, schema: dict[str, Any]
) -> None:
    with kernel.client() as client:
        pulled = {"action": "pull", "model": f"file://{smollm2_path}@candle"}
        model = client.request("model_request", pulled).result(60).content["model_id"]
        asked = {"action": "chat", "model": f"{model}@candle", "messages": HELLO, "schema": schema}
        assert refused(client, "model_request", asked).code == "schema_unsupported"
        assert client.request("model_request", {"action": "ps"}).result(60).content["models"] == []


def test_a_tool_call_is_a_delta_too(client: Client) -> None:
    tools = [{"function": {"name": "f"}}, {"function": {"name": "g"}}]
    asked = {"action": "chat", "model": "mock/echo", "messages": HELLO, "tools": tools, "tool_choice": "g"}
    pending = client.request("model_request", asked)
    deltas = [event.content["tool_calls"] for event in pending if isinstance(event, Delta)]
    reply = pending.result(60).content
    assert deltas == [reply["message"]["tool_calls"]]
    assert [call["name"] for call in reply["message"]["tool_calls"]] == ["g"]
    assert reply["finish_reason"] == "tool_calls"


def test_an_unknown_tool_is_an_invalid_choice(client: Client) -> None:
    asked = {"action": "chat", "model": "mock/a", "messages": HELLO, "tools": [{"name": "f"}], "tool_choice": "g"}
    said = refused(client, "model_request", asked)
    assert (said.code, said.details["field"]) == ("invalid_request", "tool_choice")


@pytest.mark.parametrize(
    ("schema", "at"),
    [('{"properties":["a"]}', "/properties"), ('{"type":"string","minLength":5,"maxLength":2}', "/minLength")],
)
def test_a_script_is_told_of_its_schema(client: Client, schema: str, at: str) -> None:
    code = f"""
    local agent = Agent.builder():model("mock/a"):schema(JSON.parse('{schema}')):build()
    local answered, failure = pcall(function() return agent:execute({{text = "hi"}}) end)
    assert(not answered and tostring(failure):find("'{at}'", 1, true), tostring(failure))
    """
    assert client.request("execute_request", {"code": code, "silent": False}).result(60).content["status"] == "ok"

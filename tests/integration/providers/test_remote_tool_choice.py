"""Which tool a model behind HTTP has to call: what servers are asked, and what a reply without the call is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_protocol.errors import ModelError
from llmspell_providers.remote.dialect import Sampling
from llmspell_providers.remote.openai_dialect import OpenAIDialect
from llmspell_providers.remote.vendors import VENDORS
from tests.support.model_server import Act, ModelServer, chunk
from tests.support.remote_asking import request, result_of

TOOLS = ({"name": "add", "parameters": {"type": "object"}}, {"name": "now"})


def called(name: str) -> Act:
    """A reply with one call."""
    call = {"index": 0, "id": "a", "function": {"name": name, "arguments": "{}"}}
    return Act([chunk({"tool_calls": [call]}, "tool_calls"), "data: [DONE]\n\n"])


def test_a_named_tool_is_sent_alone_to_a_server_of_ones_own_and_by_name_to_a_vendor(tmp_path: Path) -> None:
    with ModelServer(called("now")) as server:
        result = result_of(tmp_path, server, request(tools=TOOLS, tool_choice="now"))
    assert [call.name for call in result.message.tool_calls] == ["now"]
    body = server.posts[0].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["now"]
    assert body["tool_choice"] == "required"
    asked = request(tools=TOOLS, tool_choice="now")
    body = OpenAIDialect(VENDORS["groq"], {}).body("m", asked, Sampling(values={}))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "now"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize("choice", ["required", "now"])
def test_a_server_that_does_not_make_its_model_call_is_an_error(tmp_path: Path, choice: str) -> None:
    for answer in (Act([chunk({"content": "prose"}, "stop"), "data: [DONE]\n\n"]), called("other")):
        with ModelServer(answer) as server, pytest.raises(ModelError, match="was to call"):
            result_of(tmp_path, server, request(tools=TOOLS, tool_choice=choice))

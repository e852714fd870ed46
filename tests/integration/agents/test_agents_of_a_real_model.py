"""SmolLM2 with tools: in its template's own way where it has one, in a schema where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.kernels import KernelProcess
from tests.support.templates import with_template

pytestmark = pytest.mark.slow


@contextmanager
def kernel_with(model: Path, home: Path) -> Iterator[tuple[Client, str]]:
    """A client of a kernel that has this model, and the model's name."""
    process = KernelProcess(env={"LLMSPELL_HOME": str(home)}, cwd=home)
    try:
        with process.client() as client:
            client.request("model_request", {"action": "pull", "model": f"file://{model}@candle"}).result()
            [found] = (
                client.request("model_request", {"action": "list", "backend": "candle"}).result(60).content["models"]
            )
            yield client, f"{found['id']}@candle"
    finally:
        process.stop()


def ask(client: Client, action: str, **content: object) -> dict[str, Any]:
    """The content of an agent_reply."""
    return client.request("agent_request", {"action": action, **content}).result(300).content


def test_a_template_with_tools_calls_one_and_reads_its_result(smollm2_path: Path, home: Path, tmp_path: Path) -> None:
    with kernel_with(with_template(smollm2_path, tmp_path), home) as (client, model):
        ask(client, "create", name="meteo", type="basic")
        ask(client, "wrap", agent="meteo", tool_name="weather")
        options = {"temperature": 0, "max_tokens": 100}
        ask(client, "create", name="ada", model=model, tools=["weather"], options=options, max_tool_calls=3)
        reply = ask(client, "execute", agent="ada", input="What is the weather in Paris?")
        assert reply["tool_mode"] == "native"
        [call, *_] = reply["tool_calls"]
        assert (call["name"], call["success"], list(call["arguments"])) == ("weather", True, ["text"])
        assert call["result"]["content"] == call["arguments"]["text"]
        history = ask(client, "info", agent="ada")["agent"]["history"]
        assert [message["role"] for message in history][:3] == ["user", "assistant", "tool"]


def test_a_template_without_tools_gets_a_schema_whose_calls_are_done(smollm2_path: Path, home: Path) -> None:
    with kernel_with(smollm2_path, home) as (client, model):
        options = {"temperature": 0, "max_tokens": 200, "seed": 1}
        ask(client, "create", name="ada", model=model, tools=["calculator"], options=options, max_tool_calls=3)
        reply = ask(client, "execute", agent="ada", input="What is 17 * 23?")
        assert reply["tool_mode"] == "schema"
        [call, *_] = reply["tool_calls"]
        # What 135 million parameters calculate is another matter: the form is what the schema sees to.
        assert (call["name"], call["success"]) == ("calculator", True)

"""What a real kernel of ours sends fits the JSON Schemas: every action that needs no download and no second machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Delta, Output, Progress
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ScriptError
from llmspell_protocol.requests import CONTENTS
from tests.support.kernels import KernelProcess
from tests.support.schemas import fits

CHAT = {"model": "mock/a", "messages": [{"role": "user", "content": "hello you"}]}
AGENT = {"name": "helper", "model": "mock/a", "system_prompt": "Be brief.", "options": {"temperature": 0.5}}

ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("model_request", {"action": "list"}),
    ("model_request", {"action": "status"}),
    ("model_request", {"action": "info", "model": "mock/a"}),
    ("model_request", {"action": "available"}),
    ("model_request", {"action": "install_ollama"}),
    ("model_request", {"action": "load", "model": "mock/a"}),
    ("model_request", {"action": "ps"}),
    ("model_request", {"action": "chat", **CHAT}),
    ("model_request", {"action": "chat", **CHAT, "stream": False}),
    ("model_request", {"action": "generate", "model": "mock/a", "prompt": "hello"}),
    ("model_request", {"action": "embed", "model": "mock/a", "input": ["one", "two"]}),
    ("model_request", {"action": "tokenize", "model": "mock/a", "text": "one two"}),
    ("model_request", {"action": "unload", "model": "mock/a"}),
    ("model_request", {"action": "verify"}),
    ("agent_request", {"action": "create", **AGENT}),
    ("agent_request", {"action": "execute", "agent": "helper", "input": "hello"}),
    ("agent_request", {"action": "list"}),
    ("agent_request", {"action": "info", "agent": "helper"}),
    ("agent_request", {"action": "reset", "agent": "helper"}),
    ("agent_request", {"action": "delete", "agent": "helper"}),
    ("kernel_request", {"action": "status"}),
    ("kernel_request", {"action": "metrics"}),
    ("kernel_request", {"action": "queue"}),
    ("kernel_request", {"action": "reload_config"}),
    ("kernel_request", {"action": "config"}),
    ("kernel_request", {"action": "config", "section": "kernel.port"}),
    ("kernel_request", {"action": "logs", "lines": 5}),
]
NOT_HERE = {("model", "pull"), ("model", "remove"), ("kernel", "cancel"), ("kernel", "drain")}
"""Actions that need a download, or something under way, or end the kernel."""


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    kernel = KernelProcess()
    with kernel.client() as client:
        yield client
    kernel.stop()


def test_requests_progress_deltas_and_replies_fit(client: Client) -> None:
    for msg_type, content in ACTIONS:
        area, action = msg_type.removesuffix("_request"), content["action"]
        assert fits(msg_type, content, action=action) == []
        pending = client.request(msg_type, content)
        for event in pending:
            assert isinstance(event, (Delta, Progress))
            kind = "delta" if isinstance(event, Delta) else "progress"
            assert fits(f"{area}_{kind}", event.content) == [], (msg_type, content, event)
        reply = pending.result()
        assert fits(f"{area}_reply", reply.content, action=action) == [], (msg_type, content, reply.content)
        if action == "embed":
            count, dimensions = reply.content["shape"]
            assert [len(buffer) for buffer in reply.buffers] == [4 * count * dimensions]


def test_no_action_is_left_out_without_being_named() -> None:
    here = {(msg_type.removesuffix("_request"), content["action"]) for msg_type, content in ACTIONS}
    assert here | NOT_HERE == set(CONTENTS)


def test_errors_and_the_last_reply_of_a_kernel_fit(client: Client) -> None:
    wrong = client.request("model_request", {"action": "info", "model": "nobody/has-this"})
    with pytest.raises(LlmspellError) as caught:
        wrong.result()
    assert fits("model_reply", {**caught.value.to_content(), "seq": 0}) == []
    late = client.request("kernel_request", {"action": "cancel", "msg_id": wrong.msg_id}, channel="control")
    with pytest.raises(LlmspellError) as caught:
        late.result()
    assert caught.value.code == "not_found"
    drained = client.request("kernel_request", {"action": "drain", "timeout_s": 0}, channel="control").result()
    assert fits("kernel_reply", drained.content, action="drain") == []


def test_a_script_s_output_and_end_fit(client: Client) -> None:
    isolated = {"llmspell": {"isolated": True, "name": "a.lua"}}
    good = client.request("execute_request", {"code": "print('hi') return {1, 2}"}, metadata=isolated)
    deltas = [event.content for event in good if isinstance(event, Delta)]
    assert "".join(delta["text"] for delta in deltas) == "hi\n"
    assert [fits("execute_delta", delta) for delta in deltas] == [[]] * len(deltas)
    assert fits("execute_reply", good.result().content) == []
    bad = client.request("execute_request", {"code": "error('boom')"}, metadata=isolated)
    with pytest.raises(ScriptError, match="boom") as caught:
        bad.result()
    assert fits("execute_reply", caught.value.to_content()) == []


def test_what_a_notebook_sees_fits(client: Client) -> None:
    client.subscribe(10.0)
    seen: set[str] = set()
    for code in ("print('hi') return 1", "error('boom')"):
        pending = client.request("execute_request", {"code": code, "allow_stdin": False}, output=True)
        for event in pending:
            assert isinstance(event, Output)
            assert fits(event.msg_type, event.content) == [], event
            seen.add(event.msg_type)
    assert seen == {"execute_input", "stream", "execute_result", "error"}
    for msg_type, content in (
        ("is_complete_request", {"code": "for i = 1, 2 do"}),
        ("complete_request", {"code": "str", "cursor_pos": 3}),
        ("history_request", {"hist_access_type": "tail", "n": 1}),
        ("comm_info_request", {}),
        ("interrupt_request", {}),
    ):
        assert fits(msg_type, content) == []
        reply = client.request(msg_type, content).result()
        assert fits(msg_type.replace("_request", "_reply"), reply.content) == [], reply


def test_kernel_info_fits_on_shell_and_on_control(client: Client) -> None:
    for _ in range(2):
        shell = client.request("kernel_info_request", {}).result()
        control = client.request("kernel_info_request", {}, channel="control").result()
        for reply in (shell, control):
            assert fits("kernel_info_reply", reply.content) == []
            assert reply.content["llmspell"]["protocol"] == "1.0"

"""What a real kernel of ours sends fits the JSON Schemas: each action's example, with its own keys and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.client.events import Delta, Output, Progress
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.errors import LlmspellError, ScriptError
from tests.support.gguf_files import gguf_file
from tests.support.hub_server import hub_server
from tests.support.installed import install
from tests.support.kernels import KernelProcess
from tests.support.notebook_doors import connection_file
from tests.support.schemas import fits, is_answer_to

VARIANTS: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("model", "generate", {"model": "mock/a", "prompt": "hello", "stream": False}),
    ("model", "info", {"model": "smollm2:135m@candle"}),
    ("model", "list", {"backend": "candle"}),
    ("model", "status", {"backend": "candle"}),
    ("model", "unload", {}),
    ("kernel", "config", {}),
)
"""What examples leave out."""


@pytest.fixture
def client(home: Path, tmp_path: Path) -> Iterator[Client]:
    install(home, "smollm2", "135m")
    (tmp_path / "x.gguf").write_bytes(gguf_file())
    with hub_server() as hub:
        env = {"LLMSPELL_STATE_MIGRATION_ENABLED": "true", "LLMSPELL_SESSIONS_ENABLED": "true"}
        kernel = KernelProcess(env={**hub.environment(), **env})
        with kernel.client() as client:
            yield client
        kernel.stop()


@pytest.mark.parametrize("area", AREAS)
def test_every_action_of_an_area_is_answered_as_its_record_says(client: Client, area: str, tmp_path: Path) -> None:
    if area == "artifact":
        client.request("session_request", {"action": "create", "name": "notes"}).result()
    for action, record in actions(area).items():
        if record.from_scripts or (area, action) == ("notebook", "close"):
            continue
        if (area, action) == ("notebook", "open"):
            _open_and_close(client, tmp_path)
            continue
        # What is to be cancelled must be under way.
        endless = _endless(client) if (area, action) == ("kernel", "cancel") else None
        given = dict(record.example)
        if endless is not None:
            given["msg_id"] = endless.msg_id
        if area == "workflow" and action in ("cancel", "resume", "discard"):
            given = _long_workflow(client, action)
        if action == "import_model":
            given["path"] = str(tmp_path / "x.gguf")
        if area == "state" and action in ("restore", "verify"):
            made = client.request("state_request", {"action": "backups"}).result().content["backups"]
            given["backup"] = made[0]["backup"]
        _compare(client, area, action, given)
        if endless is not None:
            with pytest.raises(LlmspellError, match="cancelled"):
                endless.result()


@pytest.mark.parametrize(("area", "action", "fields"), VARIANTS)
def test_so_are_requests_that_no_example_makes(client: Client, area: str, action: str, fields: dict[str, Any]) -> None:
    _compare(client, area, action, fields)


def _compare(client: Client, area: str, action: str, fields: dict[str, Any]) -> None:
    content = {"action": action, **fields}
    assert is_answer_to(action, f"{area}_request", content) == []
    pending = client.request(f"{area}_request", content)
    for event in pending:
        assert isinstance(event, (Delta, Progress))
        kind = "delta" if isinstance(event, Delta) else "progress"
        assert is_answer_to(action, f"{area}_{kind}", event.content) == [], (content, event)
    reply = pending.result()
    assert is_answer_to(action, f"{area}_reply", reply.content) == [], (content, reply.content)
    if action == "embed":
        count, dimensions = reply.content["shape"]
        assert [len(buffer) for buffer in reply.buffers] == [4 * count * dimensions]
    else:
        assert list(reply.buffers) == []


def _open_and_close(client: Client, directory: Path) -> None:
    """An `open` is answered by the `close` of what it has opened."""
    content = {"action": "open", "connection_file": str(connection_file(directory, "opened")), "cwd": str(directory)}
    assert is_answer_to("open", "notebook_request", content) == []
    pending = client.request("notebook_request", content)
    opened = next(iter(pending))
    assert isinstance(opened, Progress)
    assert is_answer_to("open", "notebook_progress", opened.content) == [], opened
    _compare(client, "notebook", "list", {})
    _compare(client, "notebook", "close", {"notebook": opened.content["notebook"]})
    reply = pending.result()
    assert is_answer_to("open", "notebook_reply", reply.content) == [], reply.content


def _endless(client: Client) -> Pending:
    pending = client.request(
        "execute_request", {"code": "print('begun') while true do end"}, metadata={"llmspell": {"isolated": True}}
    )
    assert isinstance(next(iter(pending)), Delta)  # it runs
    return pending


def _long_workflow(client: Client, action: str) -> dict[str, Any]:
    """Fields that name a workflow that runs, or, where it is to be resumed or discarded, one that was cut."""
    step = {"name": "add", "tool": "calculator", "input": {"input": "1 + {{loop_value}}"}}
    definition = {"type": "loop", "name": "long", "range": [1, 500], "body": [step], "checkpoint": True}
    pending = client.request("workflow_request", {"action": "execute", "definition": definition})
    id = next(iter(pending)).content["execution_id"]
    if action == "cancel":
        return {"workflow": id}
    client.request("workflow_request", {"action": "cancel", "workflow": id}).result()
    with pytest.raises(LlmspellError, match="cancelled"):
        pending.result()
    return {"execution_id": id}


def test_a_key_too_many_and_a_key_too_few_are_noticed(client: Client) -> None:
    reply = client.request("agent_request", {"action": "create", "type": "basic"}).result().content
    assert is_answer_to("create", "agent_reply", reply) == []
    assert is_answer_to("list", "agent_reply", reply)
    assert is_answer_to("create", "agent_reply", {**reply, "more": 1})
    assert is_answer_to("create", "agent_reply", {**reply, "agent": {**reply["agent"], "more": 1}})
    for key in reply:
        assert is_answer_to("create", "agent_reply", {name: reply[name] for name in reply if name != key}), key
    for key in reply["agent"]:
        short = {name: value for name, value in reply["agent"].items() if name != key}
        assert is_answer_to("create", "agent_reply", {**reply, "agent": short}), key


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
    assert is_answer_to("drain", "kernel_reply", drained.content) == []


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
    client.subscribe(60.0)
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
        ("inspect_request", {"code": "LocalLLM.chat(", "cursor_pos": 14}),
        ("inspect_request", {"code": "1 + "}),
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

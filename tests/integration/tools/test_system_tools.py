"""System tools through a real kernel: permissions of the settings and of one command, and what comes back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import Forbidden
from tests.support.kernels import KernelProcess

WITHIN_S = 60.0


def invoke(client: Client, tool: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The reply of a call; `options` are the command's."""
    content = {"action": "invoke", "tool": tool, "parameters": arguments}
    return dict(client.request("tool_request", content, metadata={"llmspell": options}).result(WITHIN_S).content)


def test_a_command_s_directory_is_read_and_what_it_grants_is_written(kernel: KernelProcess, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "a.txt").write_text("größer")
    options = {"cwd": str(place)}
    granted = {**options, "allow": {"write": [str(place)]}}
    new = {"operation": "write", "path": "b.json", "content": {"a": 1}}
    with kernel.client() as client:
        read = invoke(client, "file-operations", {"operation": "read", "path": "a.txt"}, **options)
        assert (read["success"], read["text"], read["output"]) == (True, "größer", "größer")
        written = invoke(client, "file-operations", new, **granted)
        assert written["text"] == "Wrote 12 bytes to b.json"
        missing = invoke(client, "file-operations", {"operation": "read", "path": "none"}, **options)
        assert (missing["success"], missing["error"]["code"]) == (False, "not_found")
        with pytest.raises(Forbidden, match="Path not allowed: /etc/passwd"):
            invoke(client, "file-operations", {"operation": "read", "path": "/etc/passwd"}, **options)
        found = invoke(client, "file-search", {"pattern": "größer", "path": "."}, **options)
        assert [one["file_path"] for one in found["output"]] == [str(place / "a.txt")]


def test_a_program_needs_a_grant_and_its_status_comes_back(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        with pytest.raises(Forbidden, match="needs the permission to run programs"):
            invoke(client, "process-executor", {"executable": "echo"})
        granted = {"allow": {"run": ["echo", "ls"]}}
        ran = invoke(client, "process-executor", {"executable": "echo", "arguments": ["hi"]}, **granted)
        assert (ran["success"], ran["output"], ran["result"]["exit_code"]) == (True, "hi\n", 0)
        said = invoke(client, "process-executor", {"command": "ls /none"}, **granted)
        assert said["success"] is False
        assert said["result"]["exit_code"] != 0
        assert "/none" in said["result"]["stderr"]
        assert said["error"]["message"] == said["text"]
        with pytest.raises(Forbidden, match="Command blocked: cat"):
            invoke(client, "process-executor", {"executable": "cat"}, **granted)


def test_variables_are_the_clients_and_need_a_grant(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        options = {"env": {"CITY": "Wien", "SECRET": "s"}, "allow": {"env": ["CITY"]}}
        assert invoke(client, "environment-reader", {"name": "CITY"}, **options)["output"] == "Wien"
        with pytest.raises(Forbidden, match="Variable not allowed: SECRET"):
            invoke(client, "environment-reader", {"name": "SECRET"}, **options)


def test_changes_are_told_while_a_call_waits(kernel: KernelProcess, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    arguments = {"input": [str(place)], "max_events": 1, "timeout_seconds": 60}
    content = {"action": "invoke", "tool": "file-watcher", "parameters": arguments}
    with kernel.client() as client:
        pending = client.request("tool_request", content, metadata={"llmspell": {"cwd": str(place)}})
        told = []
        for event in pending:
            told.append(event.content["message"])
            if told[-1] == "watching":
                threading.Thread(target=(place / "new").touch).start()
        assert told == ["watching", f"created: {place}/new"]
        assert pending.result().content["result"]["count"] == 1


def test_the_monitor_is_tried_by_its_example(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        tested = client.request("tool_request", {"action": "test", "tool": "system-monitor"}).result(WITHIN_S).content
        assert tested["success"] is True
        assert tested["details"]["result"]["total_memory_bytes"] > 0

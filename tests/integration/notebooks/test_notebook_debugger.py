"""The debugger under jupyter_client: debug_request on control, debug_event on IOPub, while a cell stands on shell."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Json, ask, reply_to

CODE = "local function half(x)\n  local y = x / 2\n  return y\nend\nreturn half(10)"
_seq = count(1)


def _debug(client: Client, command: str, **arguments: Any) -> Json:
    content = {"type": "request", "seq": next(_seq), "command": command, "arguments": arguments}
    reply = ask(client, "control", "debug_request", content)
    assert reply["success"], reply
    body: Json = reply["body"]
    return body


def _next_event(client: Client, name: str) -> Json:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
            body: Json = message["content"]["body"]
            return body
    raise AssertionError(f"no {name}")


def test_a_cell_is_debugged_over_control_and_iopub(client: Client) -> None:
    info = ask(client, "shell", "kernel_info_request")
    assert info["debugger"] is True
    assert "debugger" in info["supported_features"]
    _debug(client, "initialize", clientID="test")
    _debug(client, "attach")
    path = _debug(client, "dumpCell", code=CODE)["sourcePath"]
    _debug(client, "setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}])
    msg_id = client.execute(CODE)
    assert _next_event(client, "stopped")["reason"] == "breakpoint"
    frame = _debug(client, "stackTrace", threadId=1)["stackFrames"][0]
    assert (frame["line"], frame["source"]["path"]) == (3, path)
    assert _debug(client, "evaluate", expression="y", frameId=frame["id"])["result"] == "5.0"
    _debug(client, "continue", threadId=1)
    assert _next_event(client, "continued")["threadId"] == 1
    assert reply_to(client, msg_id)["status"] == "ok"
    _debug(client, "disconnect")


def test_a_restart_ends_the_debugger_with_the_kernel(own: tuple[KernelManager, Client]) -> None:
    manager, client = own
    _debug(client, "initialize", clientID="test")
    _debug(client, "attach")
    path = _debug(client, "dumpCell", code=CODE)["sourcePath"]
    _debug(client, "setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}])
    client.execute(CODE)
    _next_event(client, "stopped")
    manager.restart_kernel()
    client.wait_for_ready(timeout=DEADLINE_S)
    assert _debug(client, "debugInfo")["isStarted"] is False
    msg_id = client.execute(CODE)
    assert reply_to(client, msg_id)["status"] == "ok"

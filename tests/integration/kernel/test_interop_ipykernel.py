"""Our client against a real kernel of another make: ipykernel, started the way Jupyter starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from llmspell_protocol.client.events import Output
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable, ScriptError, Unauthorized
from tests.support.schemas import fits

CELL = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[KernelManager]:
    """A running ipykernel; ready when the fixture is."""
    manager = KernelManager(kernel_name="python3", connection_file=str(tmp_path / "kernel.json"))
    with (tmp_path / "log").open("w") as log:
        manager.start_kernel(stdout=log, stderr=log)
        ready = manager.blocking_client()
        ready.start_channels()
        try:
            ready.wait_for_ready(timeout=60)
        finally:
            ready.stop_channels()
        yield manager
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture
def info(manager: KernelManager) -> ConnectionInfo:
    return ConnectionInfo.read(Path(manager.connection_file))


def test_our_client_computes_one_and_one_on_a_python_kernel(info: ConnectionInfo) -> None:
    assert info.foreign
    with Client(info).connect(20.0) as client:
        assert client.kernel_info["implementation"] == "ipython"
        client.subscribe(20.0)
        pending = client.request("execute_request", {"code": "print('so:')\n1+1", **CELL}, output=True)
        outputs = {event.msg_type: event.content for event in pending if isinstance(event, Output)}
        assert [fits(msg_type, content) for msg_type, content in outputs.items()] == [[], [], []]
        assert fits("kernel_info_reply", client.kernel_info) == []
        assert outputs["stream"]["text"] == "so:\n"
        assert outputs["execute_result"]["data"]["text/plain"] == "2"
        reply = pending.result().content
        assert fits("execute_reply", reply) == []
        assert reply["execution_count"] == 1
        with pytest.raises(ScriptError, match="ZeroDivisionError"):
            client.request("execute_request", {"code": "1/0", **CELL}).result(timeout_s=20.0)


def test_input_control_and_interrupt_work_as_with_our_own_kernel(info: ConnectionInfo) -> None:
    with Client(info).connect(20.0) as client:
        asking = {"code": "name = input('name? ')", **CELL, "allow_stdin": True}
        client.request("execute_request", asking, on_input=lambda prompt, _: f"{prompt}Ada").result(timeout_s=20.0)
        asked = {**CELL, "user_expressions": {"name": "name"}}
        reply = client.request("execute_request", {"code": "", **asked}).result(timeout_s=20.0)
        assert reply.content["user_expressions"]["name"]["data"]["text/plain"] == "'name? Ada'"
        assert client.request("kernel_info_request", {}, channel="control").result(timeout_s=20.0)
        client.subscribe(20.0)
        endless = client.request("execute_request", {"code": "print('in')\nwhile True: pass", **CELL}, output=True)
        assert any(isinstance(event, Output) and event.msg_type == "stream" for event in endless)
        endless.cancel()
        with pytest.raises(ScriptError, match="KeyboardInterrupt"):
            endless.result(timeout_s=20.0)


def test_a_kernel_that_is_busy_with_a_cell_is_no_wrong_key(info: ConnectionInfo) -> None:
    with Client(info).connect(20.0) as client:
        client.subscribe(20.0)
        busy = client.request("execute_request", {"code": "print('in')\nwhile True: pass", **CELL}, output=True)
        assert any(isinstance(event, Output) and event.msg_type == "stream" for event in busy)
        with Client(info).connect() as other:
            assert other.kernel_info["implementation"] == "ipython"
        busy.cancel()
        with pytest.raises(ScriptError):
            busy.result(timeout_s=20.0)


def test_a_wrong_key_is_told_as_such(info: ConnectionInfo) -> None:
    with pytest.raises(Unauthorized, match=info.address):
        Client(info._replace(key="guessed")).connect()


def test_a_killed_kernel_ends_what_is_open_and_then_refuses(manager: KernelManager, info: ConnectionInfo) -> None:
    with Client(info).connect(20.0) as client:
        client.subscribe(20.0)
        endless = client.request("execute_request", {"code": "print('in')\nwhile True: pass", **CELL}, output=True)
        assert any(isinstance(event, Output) and event.msg_type == "stream" for event in endless)
        assert isinstance(manager.provisioner, LocalProvisioner)
        assert manager.provisioner.process is not None
        manager.provisioner.process.kill()
        with pytest.raises(KernelUnreachable, match="connection broke"):
            endless.result()
        manager.provisioner.process.wait(60.0)
    with pytest.raises(KernelUnreachable, match="refused"):
        Client(info).connect()

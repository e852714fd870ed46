"""A kernel from start to end: by command, by signal, by force; two of one id, a taken port, a parent that dies."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import running_kernels
from llmspell_protocol.errors import Busy, Cancelled, ConfigError, KernelUnreachable, Unsupported, error_from_content
from tests.support.kernels import KernelProcess

ENDLESS = "print('started') while true do end"
ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


def wait_until_draining(client: Client) -> None:
    """Until the signal has been seen; each look is a round trip, so nothing spins."""
    for _ in range(10_000):
        if client.request("kernel_request", {"action": "status"}).result().content["state"] == "Shutting Down":
            return
    pytest.fail("the kernel does not drain")


def test_a_started_kernel_tells_where_it_is_and_its_file_is_private(kernel: KernelProcess, home: Path) -> None:
    path = Path(kernel.started["connection_file"])
    ports = kernel.started["ports"]

    assert path.parent == home / "run"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [ports[name] - ports["shell"] for name in ("shell", "iopub", "stdin", "control", "hb")] == [0, 1, 2, 3, 4]
    assert [info.id for info in running_kernels(home / "run")] == [kernel.started["id"]]


def test_a_kernel_told_to_shut_down_answers_and_leaves_nothing(kernel: KernelProcess, home: Path) -> None:
    with kernel.client() as client:
        reply = client.request("shutdown_request", {"restart": False}, channel="control").result()
    assert reply.content == {"status": "ok", "restart": False}

    assert kernel.wait() == 0
    assert list((home / "run").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_kernel_in_order(kernel: KernelProcess, home: Path, number: int) -> None:
    kernel.signal(number)

    assert kernel.wait() == 0
    assert list((home / "run").iterdir()) == []


def test_running_work_may_finish_when_the_kernel_drains(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pending = client.request(
            "execute_request",
            {"code": "print('started') local t = os.clock() while os.clock() - t < 0.5 do end return 7"},
            metadata=ISOLATED,
        )  # fmt: skip
        next(iter(pending))
        kernel.signal(signal.SIGTERM)

        assert pending.result().content["result"] == 7
    assert kernel.wait() == 0


def test_a_second_signal_cancels_what_still_runs(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pending = client.request("execute_request", {"code": ENDLESS}, metadata=ISOLATED)
        assert isinstance(next(iter(pending)), Delta)
        kernel.signal(signal.SIGTERM)
        wait_until_draining(client)
        with pytest.raises(Busy, match="shutting down"):
            client.request("model_request", {"action": "list"}).result()
        kernel.signal(signal.SIGTERM)

        with pytest.raises(Cancelled, match="shutting down"):
            pending.result()
    assert kernel.wait() == 0


@pytest.mark.parametrize(
    "code",
    [
        ENDLESS,
        pytest.param(
            "print('started') return ('a'):rep(3000):find('.-.-.-.-.-b')",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends what doesn't look at its pipe"),
        ),
    ],
    ids=["in Lua", "in C"],
)
def test_after_a_kill_clients_are_told_and_the_next_start_cleans_up(
    code: str, kernel: KernelProcess, home: Path
) -> None:
    with kernel.client() as client:
        pending = client.request("execute_request", {"code": code}, metadata=ISOLATED)
        assert isinstance(next(iter(pending)), Delta)
        workers = psutil.Process(kernel.pid).children()
        kernel.signal(signal.SIGKILL)
        with pytest.raises(KernelUnreachable):
            pending.result()
    kernel.wait()
    _gone, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert Path(kernel.started["connection_file"]).exists()

    other = KernelProcess(["--id", "next"])
    other.stop()
    assert list((home / "run").iterdir()) == []


@pytest.mark.slow
def test_after_a_kill_no_worker_lives_on_and_no_socket_outlives_the_next_start(home: Path, smollm2_path: Path) -> None:
    kernel = KernelProcess(["--transport", "ipc"])
    with kernel.client() as client:
        model = f"file://{smollm2_path}@candle"
        pulled = client.request("model_request", {"action": "pull", "model": model}).result().content["model_id"]
        client.request("execute_request", {"code": "x = 1"}).result()
        talk = {"action": "generate", "model": f"{pulled}@candle", "prompt": "Count.", "options": {"max_tokens": 2000}}
        pending = client.request("model_request", talk)
        next(event for event in pending if isinstance(event, Delta))
        workers = psutil.Process(kernel.pid).children()
        assert len(workers) == 2, "one for the script, one for the model"
        kernel.signal(signal.SIGKILL)
        with pytest.raises(KernelUnreachable):
            pending.result()
    kernel.wait()
    _gone, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert len(socket_directories()) == 2, "the kernel's own and the engine's"

    other = KernelProcess(["--id", "next"])
    left = socket_directories()
    other.stop()
    assert left == []
    assert list((home / "run").iterdir()) == []


def socket_directories() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("llmspell-*"))


def test_two_kernels_of_one_id_cannot_run(kernel: KernelProcess) -> None:
    refused = KernelProcess(["--id", kernel.started["id"]])

    error = error_from_content(refused.started["error"])
    assert isinstance(error, Busy)
    assert error.message == f"Kernel daemon already running with PID file {kernel.started['pid_file']}"


def test_a_port_taken_by_a_kernel_of_ours_is_explained_with_its_id(kernel: KernelProcess) -> None:
    refused = KernelProcess(["--port", str(kernel.started["port"]), "--id", "other"])

    error = error_from_content(refused.started["error"])
    assert (
        error.message
        == f"port {kernel.started['port']} is taken by kernel '{kernel.started['id']}' (PID: {kernel.pid})"
    )
    assert error.exit_status == 1


def test_a_port_taken_by_somebody_else_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port > 65_531:
            port -= 4
        refused = KernelProcess(["--port", str(port), "--id", "other"])

    assert "is taken" in refused.started["error"]["message"]
    assert list((home / "run").iterdir()) == []


def test_a_host_that_is_not_this_machine_needs_permission(home: Path) -> None:
    refused = KernelProcess(["--host", "0.0.0.0"])

    assert isinstance(error_from_content(refused.started["error"]), ConfigError)
    assert "allow_remote" in refused.started["error"]["message"]


def test_no_permission_and_no_connection_file_opens_a_port_to_other_machines_unencrypted(
    home: Path, tmp_path: Path
) -> None:
    permission = tmp_path / "remote.toml"
    permission.write_text('[kernel]\nhost = "0.0.0.0"\nsecurity.allow_remote = true\n')
    front = tmp_path / "kernel-front.json"
    ConnectionInfo.consecutive("0.0.0.0", 21_000, "k" * 32).write(front)

    for words in (["--config", str(permission)], ["-f", str(front)]):
        refused = KernelProcess(words)
        assert isinstance(error_from_content(refused.started["error"]), Unsupported)
    assert "'0.0.0.0' is not a loopback address" in refused.started["error"]["message"]


def test_required_encryption_is_refused_and_not_ignored(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "curve.toml"
    config.write_text('kernel.security.curve = "required"\n')
    refused = KernelProcess(["--config", str(config)])
    assert isinstance(error_from_content(refused.started["error"]), Unsupported)
    assert "kernel.security.curve" in refused.started["error"]["message"]


def test_a_kernel_on_socket_files_answers_and_removes_them(home: Path, tmp_path: Path) -> None:
    kernel = KernelProcess(["--transport", "ipc", "--id", "files"])
    prefix = Path(kernel.info.ip)
    assert len(list(prefix.parent.iterdir())) == 5
    assert stat.S_IMODE(prefix.parent.stat().st_mode) == 0o700

    with kernel.client() as client:
        assert client.request("kernel_request", {"action": "status"}).result().content["transport"] == "ipc"
    kernel.stop()
    assert not prefix.parent.exists()


def test_a_frontends_kernel_ends_with_its_parent(home: Path, tmp_path: Path) -> None:
    connection_file = tmp_path / "kernel-front.json"
    script = f"""
import os, subprocess, sys
read_fd, write_fd = os.pipe()
kernel = subprocess.Popen(
    [sys.executable, "-m", "llmspell_kernel", "-f", {str(connection_file)!r}, "--port", "0",
     "--ready-fd", str(write_fd)],
    pass_fds=(write_fd,), env={{**os.environ, "JPY_PARENT_PID": str(os.getpid())}},
)
os.close(write_fd)
os.fdopen(read_fd).readline()
print(kernel.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert ConnectionInfo.read(connection_file).pid == pid

    watch = os.pidfd_open(pid)
    parent.kill()
    parent.communicate()
    assert select.select([watch], [], [], 20)[0], "the kernel outlives its parent"
    os.close(watch)

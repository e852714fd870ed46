"""A kernel from start to end: by command, by signal, by force, and with the parent that started it."""

from __future__ import annotations

import os
import select
import signal
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
from llmspell_protocol.errors import Busy, Cancelled, KernelUnreachable
from tests.support.kernels import KernelProcess
from tests.support.steering import ask_kernel, wait_until

ENDLESS = "print('started') while true do end"
ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


def wait_until_draining(client: Client) -> None:
    """Until the signal has been seen."""
    wait_until(client, lambda status: status["state"] == "Shutting Down")


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
    _gone, alive = psutil.wait_procs(workers, timeout=60)
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
    _gone, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert len(socket_directories()) == 2, "the kernel's own and the engine's"

    other = KernelProcess(["--id", "next"])
    left = socket_directories()
    other.stop()
    assert left == []
    assert list((home / "run").iterdir()) == []


def socket_directories() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("llmspell-*"))


def test_a_second_kernel_with_another_id_runs_beside_and_outlives_the_first(kernel: KernelProcess, home: Path) -> None:
    newer = KernelProcess(["--id", "newer"])
    try:
        with kernel.client() as old, newer.client() as new:
            running = old.request(
                "execute_request",
                {"code": "print('started') local t = os.clock() while os.clock() - t < 0.5 do end return 7"},
                metadata=ISOLATED,
            )  # fmt: skip
            next(iter(running))
            kernel.signal(signal.SIGTERM)
            wait_until_draining(old)
            assert (
                new.request("execute_request", {"code": "return 8"}, metadata=ISOLATED).result().content["result"] == 8
            )
            assert running.result().content["result"] == 7
            assert kernel.wait() == 0
            assert ask_kernel(new, "status")["state"] == "Idle"
        assert [info.id for info in running_kernels(home / "run")] == ["newer"]
    finally:
        newer.stop()
    assert list((home / "run").iterdir()) == []


def test_the_state_says_what_the_kernel_is_at(kernel: KernelProcess) -> None:
    with kernel.client() as asking:
        assert ask_kernel(asking, "status")["state"] == "Idle", "who asks is no use"
        with kernel.client() as other:
            assert ask_kernel(asking, "status")["state"] == "Healthy", "another client is connected"
            running = other.request("execute_request", {"code": ENDLESS}, metadata=ISOLATED)
            next(iter(running))
            assert ask_kernel(asking, "status")["state"] == "Busy"
            ask_kernel(other, "cancel", msg_id=running.msg_id)
            wait_until(asking, lambda status: status["state"] == "Healthy")
        wait_until(asking, lambda status: status["state"] == "Idle")


def test_the_figures_are_those_of_the_kernels_process(kernel: KernelProcess) -> None:
    seen = psutil.Process(kernel.pid)
    with kernel.client() as client:
        ask_kernel(client, "metrics")
        told = ask_kernel(client, "metrics")
    assert told["memory_bytes"] == pytest.approx(seen.memory_info().rss, rel=0.2)
    assert told["memory_percent"] == pytest.approx(seen.memory_percent(), rel=0.2, abs=0.02)
    assert told["open_files"] == pytest.approx(seen.num_fds(), abs=4)
    assert told["active_connections"] == 1
    assert told["cpu_percent"] >= 0


def test_psutil_is_imported_only_for_figures(home: Path) -> None:
    kernel = KernelProcess(anew=True)

    def has_it() -> bool:
        return any("psutil" in region.path for region in psutil.Process(kernel.pid).memory_maps(grouped=True))

    try:
        with kernel.client() as client:
            client.request("execute_request", {"code": "return 1"}, metadata=ISOLATED).result()
            assert not has_it()
            ask_kernel(client, "metrics")
            assert has_it()
    finally:
        kernel.stop()


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

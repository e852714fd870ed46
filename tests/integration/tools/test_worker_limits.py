"""Tools that misbehave, brought by a package that is installed beside a real kernel: it and all others go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.errors import LlmspellError, OutOfMemory, Timeout, ToolError, WorkerCrashed
from tests.support import wayward_tools
from tests.support.children import is_running
from tests.support.kernels import KernelProcess
from tests.support.steering import wait_until

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    return wayward_tools.install(tmp_path_factory.mktemp("package"))


@pytest.fixture
def kernel(home: Path, site: Path) -> Iterator[KernelProcess]:
    """A kernel that finds the package."""
    process = KernelProcess(env={"PYTHONPATH": str(site)})
    yield process
    process.stop()


def begin(client: Client, does: str, *, timeout_s: float | None = None, **parameters: Any) -> Pending:
    """A call, which has not to have begun."""
    content = {"action": "invoke", "tool": "wayward", "parameters": {"does": does, **parameters}}
    metadata = None if timeout_s is None else {"llmspell": {"timeout_s": timeout_s}}
    return client.request("tool_request", content, metadata=metadata)


def call(client: Client, does: str, **more: Any) -> Any:
    """The result of a call."""
    return begin(client, does, **more).result(WITHIN_S).content["result"]


def worker_of(pending: Pending) -> int:
    """The process id of the worker that a call has begun in."""
    for event in pending:
        return int(event.content["figures"]["pid"])
    raise AssertionError("the call did not begin")


def demand_that_another_answers(client: Client, pid: int) -> None:
    """The next call is done by another process, and the one before goes."""
    assert call(client, "behaves")["pid"] != pid
    wait_until(client, lambda _: not psutil.pid_exists(pid))


def below(kernel: KernelProcess) -> list[psutil.Process]:
    return [one for one in psutil.Process(kernel.pid).children(recursive=True) if is_running(one)]


def test_a_package_brings_a_tool_and_one_that_can_t_be_imported_is_told(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        listed = client.request("tool_request", {"action": "list"}).result(WITHIN_S).content
        found = {tool["name"]: tool for tool in listed["tools"]}
        assert found["wayward"]["source"] == "plugin wayward_tools"
        assert "calculator" in found
        (problem,) = listed["problems"]
        assert "'missing' of package wayward_tools can't be imported" in problem
        tested = client.request("tool_request", {"action": "test", "tool": "wayward"}).result(WITHIN_S).content
        assert tested["success"] is True


def test_a_package_that_crashes_takes_no_other_tools_away(home: Path, tmp_path: Path) -> None:
    process = KernelProcess(env={"PYTHONPATH": str(wayward_tools.install(tmp_path, crashes=True))})
    try:
        with process.client() as client:
            listed = client.request("tool_request", {"action": "list"}).result(WITHIN_S).content
            names = [tool["name"] for tool in listed["tools"]]
            assert "calculator" in names
            assert "wayward" not in names
            (problem,) = listed["problems"]
            assert problem.startswith("the tools of other packages are left out: ")
            assert "SIGABRT" in problem
            tested = client.request("tool_request", {"action": "test", "tool": "calculator"}).result(WITHIN_S).content
            assert tested["success"] is True
    finally:
        process.stop()


def test_a_call_that_never_ends_is_ended_with_its_time(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pid = call(client, "behaves")["pid"]
        with pytest.raises(Timeout):
            call(client, "never ends", timeout_s=2.0)
        demand_that_another_answers(client, pid)


def test_a_call_without_a_place_says_that_it_waits(home: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("[tools]\nworkers = 1\n")
    process = KernelProcess(["--config", str(tmp_path / "one.toml")], env={"PYTHONPATH": str(site)})
    with process.client() as client:
        first = begin(client, "never ends")
        worker_of(first)
        second = begin(client, "behaves")
        assert next(iter(second)).content["message"] == "waits: a call runs already (tools.workers)"
        first.cancel()
        assert second.result(WITHIN_S).content["success"]
    process.stop()


def test_a_call_that_is_cancelled_is_ended(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pending = begin(client, "never ends")
        pid = worker_of(pending)
        pending.cancel()
        with pytest.raises(LlmspellError) as ended:
            pending.result(WITHIN_S)
        assert ended.value.code == "cancelled"
        demand_that_another_answers(client, pid)


def test_a_call_whose_client_vanishes_is_ended(kernel: KernelProcess) -> None:
    with kernel.client() as client, kernel.client() as observer:
        pid = worker_of(begin(client, "never ends"))
        client.close()
        wait_until(observer, lambda _: not psutil.pid_exists(pid))
        assert call(observer, "behaves")["pid"] != pid


def test_a_call_that_takes_all_memory_is_ended(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pending = begin(client, "takes memory")
        pid = worker_of(pending)
        with pytest.raises(OutOfMemory, match="took more memory than it may"):
            pending.result(WITHIN_S)
        demand_that_another_answers(client, pid)


@pytest.mark.parametrize(
    ("does", "error", "said"),
    [
        ("crashes", WorkerCrashed, "SIGSEGV"),
        ("exits", WorkerCrashed, "with status 3"),
        ("breaks the pipe", WorkerCrashed, "by signal SIGTERM"),
        ("gives too much", ToolError, "can't be sent"),
        ("gives a set", ToolError, "can't be sent: set"),
        ("gives a knot", LlmspellError, "RecursionError|can't be sent"),
        ("fails", LlmspellError, "tool 'wayward' failed: ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_in_a_tool_is_the_calls_own_error(
    kernel: KernelProcess, does: str, error: type[LlmspellError], said: str
) -> None:
    with kernel.client() as client:
        with pytest.raises(error, match=said):
            call(client, does)
        assert "pid" in call(client, "behaves")


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of what descendants leave behind")


@linux
def test_what_a_call_leaves_behind_ends_with_it(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        left = call(client, "detaches")
        assert len(left) == 3
        assert not [pid for pid in left if psutil.pid_exists(pid)]
        assert "pid" in call(client, "behaves")


@linux
@pytest.mark.parametrize("how", ["its time", "a cancel", "a crash"])
def test_what_a_call_has_detached_ends_with_its_worker(kernel: KernelProcess, tmp_path: Path, how: str) -> None:
    with kernel.client() as client:
        before = {one.pid for one in below(kernel)}
        if how == "a crash":
            with pytest.raises(WorkerCrashed, match="SIGSEGV"):
                call(client, "detaches and crashes")
        else:
            pending = begin(
                client, "detaches and stays", place=str(tmp_path), timeout_s=3 if how == "its time" else None
            )
            wait_until(client, lambda _: (tmp_path / "detached").exists())
            if how == "a cancel":
                pending.cancel()
            with pytest.raises(LlmspellError):
                pending.result(WITHIN_S)
        wait_until(client, lambda _: {one.pid for one in below(kernel)} <= before)


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_a_call_outlives_the_kernel(kernel: KernelProcess, tmp_path: Path, number: int) -> None:
    with kernel.client() as client:
        begin(client, "detaches and stays", place=str(tmp_path))
        wait_until(client, lambda _: (tmp_path / "detached").exists())
        found = below(kernel)
        assert len(found) >= 4
    kernel.signal(number)
    if number == signal.SIGTERM:
        kernel.signal(number)
    kernel.wait()
    _, alive = psutil.wait_procs(found, timeout=20)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def test_what_a_tool_prints_without_end_is_bounded(kernel: KernelProcess, home: Path) -> None:
    with kernel.client() as client:
        pending = begin(client, "prints")
        pid = worker_of(pending)
        pending.result(WITHIN_S)
        demand_that_another_answers(client, pid)
    logs = list((home / "logs").glob("tools.log*"))
    assert sum(path.stat().st_size for path in logs) < 3_000_000
    assert "from here on is left out" in logs[0].read_text()


def test_ten_clients_calls_run_side_by_side_as_far_as_there_are_workers(kernel: KernelProcess, tmp_path: Path) -> None:
    clients = [kernel.client() for _ in range(10)]
    try:
        calls = [begin(client, "meets", place=str(tmp_path)) for client in clients]
        wait_until(clients[0], lambda _: len(list(tmp_path.glob("begun-*"))) >= 4)
        (tmp_path / "go").touch()
        spans = [pending.result(WITHIN_S).content["result"] for pending in calls]
    finally:
        for client in clients:
            client.close()
    moments = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    running, most = 0, 0
    for _, change in moments:
        running += change
        most = max(most, running)
    assert most == 4


def test_a_worker_is_used_again(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        pids = [call(client, "behaves")["pid"] for _ in range(5)]
        assert all(one == other for one, other in pairwise(pids))
        assert os.getpid() not in pids

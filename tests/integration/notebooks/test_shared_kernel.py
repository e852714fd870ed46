"""The kernelspec whose notebooks share a kernel, under jupyter_client's own managers: one kernel, contexts apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from llmspell_protocol.client.sync import Client as OwnClient
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import is_running, standing_kernels
from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Frontend, Json, ask, finish_cell, llmspell, run_cell

ENDLESS = "print('running') while true do end"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    """An installed kernelspec whose notebooks share a kernel, which runs and ends with the module."""
    frontend = Frontend(tmp_path_factory.mktemp("shared"), "--display-name", "Shared")
    with notebook(frontend):
        pass
    yield frontend
    end_kernels(frontend)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Frontend]:
    """The same where no kernel runs yet, for tests that end the kernel."""
    frontend = Frontend(tmp_path / "apart", "--display-name", "Apart")
    yield frontend
    end_kernels(frontend)


def end_kernels(frontend: Frontend) -> None:
    """Ends every kernel of the frontend's home."""
    if standing_kernels(frontend.home / "run"):
        llmspell("kernel", "stop", "--all", environment=frontend.environment)


@contextmanager
def notebook(frontend: Frontend, *words: str) -> Iterator[tuple[KernelManager, Client]]:
    """A notebook under a real manager, and its client."""
    with frontend.kernel(*words) as manager, frontend.client(manager) as client:
        client.wait_for_ready(timeout=DEADLINE_S)
        yield manager, client


def daemon(frontend: Frontend) -> ConnectionInfo:
    """The one kernel that runs."""
    (info,) = standing_kernels(frontend.home / "run")
    return info


def listed(frontend: Frontend) -> list[Json]:
    """What it tells of its notebooks."""
    with OwnClient(daemon(frontend)).connect(DEADLINE_S) as client:
        return list(client.request("notebook_request", {"action": "list"}).result().content["notebooks"])


def interrupt_all(client: Client, msg_id: str) -> None:
    """Interrupts a running cell and waits for its end."""
    ask(client, "control", "interrupt_request")
    assert finish_cell(client, msg_id).reply["code"] == "cancelled"


def begin(client: Client, code: str = ENDLESS) -> str:
    """Sends a cell and waits for its first output."""
    msg_id = client.execute(code, allow_stdin=False)
    while client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    return msg_id


def test_the_first_notebook_starts_a_kernel_and_the_second_shares_it(apart: Frontend) -> None:
    shared = apart
    assert json.loads(shared.spec_file.read_text())["display_name"] == "Apart"
    assert standing_kernels(shared.home / "run") == []
    with notebook(shared) as (_, one), notebook(shared) as (_, other):
        info = daemon(shared)
        assert (info.id, info.transport) == ("background", "ipc")
        pids = {ask(client, "shell", "kernel_request", {"action": "status"})["pid"] for client in (one, other)}
        assert pids == {info.pid}
        run_cell(one, "x = 'one'")
        run_cell(other, "x = 'other'")
        assert [run_cell(client, "return x").value for client in (one, other)] == ['"one"', '"other"']
        assert len(listed(shared)) == 2
    assert listed(shared) == []
    # It goes on, with a time limit, and neither ends with the frontend that started it nor watches it.
    assert is_running(shared.home / "run", "background")


def test_a_restart_is_a_new_context_and_touches_no_other(shared: Frontend) -> None:
    with notebook(shared) as (manager, one), notebook(shared) as (_, other):
        run_cell(one, "x = 1")
        run_cell(other, "x = 2")
        pid = daemon(shared).pid
        manager.restart_kernel()
        one.wait_for_ready(timeout=DEADLINE_S)
        cell = run_cell(one, "return tostring(x)")
        assert (cell.value, cell.reply["execution_count"]) == ('"nil"', 1)
        assert run_cell(other, "return x").value == "2"
        manager.restart_kernel(now=True)
        one.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(one, "return 1").reply["execution_count"] == 1
        assert daemon(shared).pid == pid
        assert len(listed(shared)) == 2


def test_interrupts_by_message_and_by_signal_touch_their_notebook_alone(shared: Frontend) -> None:
    with notebook(shared) as (manager, one), notebook(shared) as (_, other):
        beside = begin(other)
        cell = begin(one)
        manager.interrupt_kernel()
        assert finish_cell(one, cell).reply["code"] == "cancelled"
        cell = begin(one)
        os.kill(manager.provisioner.pid, signal.SIGINT)
        assert finish_cell(one, cell).reply["code"] == "cancelled"
        assert {told["state"] for told in listed(shared)} == {"busy", "idle"}
        assert manager.is_alive()
        interrupt_all(other, beside)


def test_a_shutdown_ends_one_notebook_and_never_the_kernel(shared: Frontend) -> None:
    with notebook(shared) as (manager, one), notebook(shared) as (_, other):
        pid = daemon(shared).pid
        assert ask(one, "control", "shutdown_request", {"restart": False}) == {"status": "ok", "restart": False}
        manager.finish_shutdown(waittime=DEADLINE_S)
        assert not manager.is_alive()
        assert run_cell(other, "return 1").value == "1"
        assert (daemon(shared).pid, len(listed(shared))) == (pid, 1)


def test_terminating_the_notebook_s_process_closes_its_door(shared: Frontend) -> None:
    with notebook(shared) as (manager, client):
        begin(client)
        process = psutil.Process(manager.provisioner.pid)
        process.terminate()
        manager.provisioner.process.wait(DEADLINE_S)
        while listed(shared):
            pass  # the test's own deadline ends this
        assert not manager.is_alive()


def test_a_lost_server_leaves_no_door(shared: Frontend, tmp_path: Path) -> None:
    kernels = shared.data_directory / "kernels"
    file = tmp_path / "kernel-0677daab-1111-4222-8333-444455556666.json"
    code = f"""
import os
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
specs = KernelSpecManager(kernel_dirs=[{str(kernels)!r}])
manager = KernelManager(kernel_name={KERNEL_NAME!r}, kernel_spec_manager=specs, connection_file={str(file)!r})
manager.start_kernel(env={{**os.environ, 'JPY_SESSION_NAME': 'deep/Report.ipynb'}})
client = manager.client()
client.start_channels(hb=False)
client.wait_for_ready(timeout={DEADLINE_S})
print(manager.provisioner.pid, flush=True)
input()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=shared.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        assert server.stdout is not None
        keeper = psutil.Process(int(server.stdout.readline()))
        (told,) = listed(shared)
        assert (told["id"], told["name"]) == ("Report-0677", "deep/Report.ipynb")
        server.kill()
    keeper.wait(DEADLINE_S)
    while listed(shared):
        pass  # the test's own deadline ends this


def test_ten_notebooks_that_all_start_where_no_kernel_runs_start_one(apart: Frontend) -> None:
    with ExitStack() as stack:
        managers = [stack.enter_context(apart.kernel()) for _ in range(10)]
        clients = [stack.enter_context(apart.client(manager)) for manager in managers]
        for client in clients:
            client.wait_for_ready(timeout=DEADLINE_S)
        for number, client in enumerate(clients):
            client.execute(f"x = {number}", allow_stdin=False)
        values = [run_cell(client, "return x").value for client in clients]
        assert values == [str(number) for number in range(10)]
        assert len(listed(apart)) == 10


def test_when_the_kernel_crashes_managers_see_it_and_a_new_start_works(apart: Frontend) -> None:
    with notebook(apart) as (manager, client), notebook(apart) as (second, _):
        run_cell(client, "x = 1")
        first = daemon(apart).pid
        assert first is not None
        assert len(list((apart.home / "run").glob("notebook-*"))) == 2
        os.kill(first, signal.SIGKILL)
        for one in (manager, second):
            assert one.provisioner.process.wait(DEADLINE_S) != 0
            assert not one.is_alive()
        manager.restart_kernel(now=True)  # as the server's autorestart does
        client.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(client, "return tostring(x)").value == '"nil"'
        assert daemon(apart).pid != first
        assert len(list((apart.home / "run").glob("notebook-*"))) == 1


def test_kernel_status_and_a_command_beside_the_notebook_speak_of_the_same_kernel(shared: Frontend) -> None:
    with notebook(shared) as (_, client):
        run_cell(client, "State.save('global', 'seen', 'in the notebook')")
        told = llmspell("exec", "print(State.load('global', 'seen'))", environment=shared.environment)
        assert told == "in the notebook\n"
        beside = llmspell("--embedded", "exec", "print('a kernel of its own')", environment=shared.environment)
        assert beside == "a kernel of its own\n"
        status = json.loads(llmspell("kernel", "status", "background", "--json", environment=shared.environment))
        (one,) = status["kernels"]
        assert [(told["state"], told["execution_count"]) for told in one["notebooks"]] == [("idle", 1)]


@pytest.mark.parametrize("words", [(), ("background", "--force")])
def test_stopping_the_kernel_ends_its_notebooks_and_a_restart_has_a_new_one(
    apart: Frontend, words: tuple[str, ...]
) -> None:
    with notebook(apart) as (manager, client):
        name = listed(apart)[0]["id"]
        said = llmspell("kernel", "stop", *words, environment=apart.environment)
        assert f"Open notebooks lose their variables: {name}\n" in said
        assert "starts one for them again" in said
        manager.provisioner.process.wait(DEADLINE_S)
        assert not manager.is_alive()
        assert standing_kernels(apart.home / "run") == []
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(client, "return 1").value == "1"
        assert daemon(apart).id == "background"


def test_a_kernelspec_with_a_profile_has_a_kernel_of_that_profile(tmp_path: Path) -> None:
    frontend = Frontend(tmp_path, "--profile", "minimal")
    try:
        with notebook(frontend) as (_, client), notebook(frontend):
            status = ask(client, "shell", "kernel_request", {"action": "status"})
            assert (status["id"], status["profile"]) == ("notebooks-minimal", "minimal")
            assert len(listed(frontend)) == 2
    finally:
        end_kernels(frontend)


def test_a_notebook_whose_directory_means_another_configuration_has_its_own_kernel(
    shared: Frontend, tmp_path: Path
) -> None:
    (tmp_path / "llmspell.toml").write_text("[kernel]\nmax_clients = 7\n")
    with notebook(shared):
        specs = KernelSpecManager(kernel_dirs=[str(shared.data_directory / "kernels")])
        manager = KernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs)
        with (tmp_path / "log").open("w") as log:
            manager.start_kernel(env=shared.environment, cwd=str(tmp_path), stderr=log)
        try:
            with shared.client(manager) as client:
                client.wait_for_ready(timeout=DEADLINE_S)
                status = ask(client, "shell", "kernel_request", {"action": "status"})
                assert status["pid"] == manager.provisioner.pid
                assert status["config_file"] == str(tmp_path / "llmspell.toml")
        finally:
            manager.shutdown_kernel()
        said = (tmp_path / "log").read_text()
        assert "this notebook has a kernel of its own: kernel background is not for it" in said


def test_a_notebook_that_could_not_share_says_so_in_its_first_cell_and_in_its_log(tmp_path: Path) -> None:
    frontend = Frontend(tmp_path / "full", "--display-name", "Full")
    frontend.home.mkdir(exist_ok=True)
    (frontend.home / "config.toml").write_text("[kernel]\nmax_clients = 1\n")
    try:
        with notebook(frontend), notebook(frontend) as (_, second):
            quiet = ask(second, "shell", "execute_request", {"code": "x = 1", "silent": True})
            assert quiet["status"] == "ok"
            first = run_cell(second, "print('hello')")
            said = [content["text"] for content in first.of("stream") if content["name"] == "stderr"]
            assert said == [
                "llmspell: this notebook has a kernel and models of its own: the kernel serves 1 clients already\n"
            ]
            assert first.stdout == "hello\n"
            assert [one["name"] for one in run_cell(second, "print('hello')").of("stream")] == ["stdout"]
            log = ask(second, "shell", "kernel_request", {"action": "status"})["log_file"]
            assert "this notebook shares no kernel: the kernel serves 1 clients" in Path(log).read_text()
    finally:
        end_kernels(frontend)


@pytest.mark.slow
def test_two_notebooks_share_one_loaded_model(shared: Frontend, smollm2_path: Path) -> None:
    llmspell("model", "import", str(smollm2_path), "--name", "small", environment=shared.environment)
    code = "return #Agent.create{model = 'local/small@candle', max_tokens = 3}:complete('Say yes.') > 0"
    with notebook(shared) as (_, one), notebook(shared) as (_, other):
        for client in (one, other):
            assert run_cell(client, code).value == "true"
        seen: list[Any] = [ask(client, "shell", "model_request", {"action": "ps"})["models"] for client in (one, other)]
        seen.append(json.loads(llmspell("model", "ps", "--json", environment=shared.environment))["models"])
        assert {tuple(sorted(model["pid"] for model in models)) for models in seen} == {(seen[0][0]["pid"],)}
        names = {told["id"] for told in listed(shared)}
        assert set(seen[0][0]["notebooks"]) == names
        assert [told["models"] for told in listed(shared)] == [["small@candle"]] * 2
        shown = llmspell("model", "ps", environment=shared.environment)
        assert all(name in shown for name in names)
    llmspell("model", "unload", "--all", environment=shared.environment)

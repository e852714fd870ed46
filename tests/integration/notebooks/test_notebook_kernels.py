"""The kernel under real Jupyter frontends: its kernelspec, interrupts, restarts, its end, foreign requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import (
    DEADLINE_S,
    KERNEL_NAME,
    Frontend,
    Json,
    ask,
    environment_of,
    llmspell,
    run_cell,
)

ENDLESS = "print('running') while true do end"


def test_the_installed_kernelspec_starts_this_python_and_is_interrupted_by_message(frontend: Frontend) -> None:
    spec = json.loads(frontend.spec_file.read_text())
    assert spec["argv"][1:] == ["-m", "llmspell_kernel", "-f", "{connection_file}"]
    assert os.access(spec["argv"][0], os.X_OK)
    assert (spec["language"], spec["interrupt_mode"]) == ("lua", "message")


def test_a_kernelspec_that_was_installed_for_the_user_is_removed_whole(tmp_path: Path) -> None:
    environment = {**environment_of(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path / "data")}
    llmspell("jupyter", "install", "--user", environment=environment)
    assert (tmp_path / "data" / "kernels" / KERNEL_NAME / "kernel.json").is_file()
    llmspell("jupyter", "remove", "--yes", environment=environment)
    assert list((tmp_path / "data" / "kernels").iterdir()) == []


def test_kernel_info_is_answered_on_shell_and_on_control(client: Client) -> None:
    for channel in ("shell", "control"):
        reply = ask(client, channel, "kernel_info_request")
        assert reply["status"] == "ok"
        assert reply["protocol_version"] == "5.5"
        assert reply["language_info"]["name"] == "lua"
        assert reply["language_info"]["file_extension"] == ".lua"
        assert reply["llmspell"]["protocol"] == "1.0"


def test_the_first_message_of_a_subscriber_is_a_welcome(frontend: Frontend, manager: KernelManager) -> None:
    with frontend.client(manager) as fresh:
        message = fresh.get_iopub_msg(timeout=DEADLINE_S)
        assert message["msg_type"] == "iopub_welcome"
        assert message["content"] == {"subscription": ""}


def test_an_interrupt_ends_a_tight_loop_and_keeps_the_variables(
    own: tuple[KernelManager, Client],
) -> None:
    manager, client = own
    run_cell(client, "kept = 1")

    def interrupt(kind: str, content: Json) -> None:
        if kind == "stream":
            manager.interrupt_kernel()

    for code in (ENDLESS, f"pcall(function() {ENDLESS} end) while true do end"):
        cell = run_cell(client, code, on_published=interrupt)
        assert (cell.reply["status"], cell.reply["code"]) == ("error", "cancelled")
        assert cell.reply["execution_count"]
    assert run_cell(client, "return kept").value == "1"


def test_a_signal_interrupts_as_a_message_does_and_does_not_end_the_kernel(
    own: tuple[KernelManager, Client],
) -> None:
    manager, client = own
    pid = ask(client, "shell", "kernel_request", {"action": "status"})["pid"]

    def interrupt(kind: str, content: Json) -> None:
        if kind == "stream":
            os.kill(pid, signal.SIGINT)

    assert run_cell(client, ENDLESS, on_published=interrupt).reply["code"] == "cancelled"
    os.kill(pid, signal.SIGINT)
    # When this is answered the signal has been handled; otherwise it might hit the next cell.
    ask(client, "shell", "kernel_info_request")
    assert run_cell(client, "return 1").value == "1"
    assert manager.is_alive()


def test_the_kernel_answers_on_both_channels_while_a_cell_runs(own: tuple[KernelManager, Client]) -> None:
    manager, client = own
    answered: list[str] = []

    def look(kind: str, content: Json) -> None:
        if kind == "stream":
            answered.append(ask(client, "control", "kernel_info_request")["status"])
            answered.append(ask(client, "shell", "is_complete_request", {"code": "x ="})["status"])
            manager.interrupt_kernel()

    run_cell(client, ENDLESS, on_published=look)
    # The one who could judge the code is busy, and Jupyter has a word for that.
    assert answered == ["ok", "unknown"]


@pytest.mark.slow
def test_an_interrupt_ends_a_model_call_and_frees_the_slot(own: tuple[KernelManager, Client], small_model: str) -> None:
    manager, client = own
    run_cell(client, f"writer = Agent.create{{model = '{small_model}', max_tokens = 3000, temperature = 0}}")

    def interrupt(kind: str, content: Json) -> None:
        if kind == "stream":
            manager.interrupt_kernel()

    code = "writer:invokeStream('Count from one to a thousand, in words.', function(c) io.write(c.text) end)"
    cell = run_cell(client, code, on_published=interrupt)
    assert (cell.reply["status"], cell.reply["code"]) == ("error", "cancelled")
    (loaded,) = ask(client, "shell", "model_request", {"action": "ps"})["models"]
    assert loaded["busy_slots"] == 0
    assert run_cell(client, "return #writer:get_history()").value == "0"
    assert run_cell(client, "return #writer:complete('Say yes.') > 0").value == "true"


def test_shutdown_is_answered_and_the_kernel_leaves_nothing(frontend: Frontend) -> None:
    before = set((frontend.home / "run").glob("*"))
    with frontend.kernel() as manager:
        with frontend.client(manager) as client:
            client.wait_for_ready(timeout=DEADLINE_S)
            assert set((frontend.home / "run").glob("*")) > before
            assert ask(client, "control", "shutdown_request", {"restart": False}) == {"status": "ok", "restart": False}
        manager.finish_shutdown(waittime=DEADLINE_S)
        assert not manager.is_alive()
    assert set((frontend.home / "run").glob("*")) == before


def test_a_restart_gives_an_empty_kernel(own: tuple[KernelManager, Client]) -> None:
    manager, client = own
    run_cell(client, "gone = 1")
    manager.restart_kernel()
    client.wait_for_ready(timeout=DEADLINE_S)
    cell = run_cell(client, "return gone == nil")
    assert (cell.value, cell.reply["execution_count"]) == ("true", 1)


def test_a_request_under_a_wrong_key_gets_no_answer_and_does_no_harm(
    frontend: Frontend, manager: KernelManager
) -> None:
    with frontend.client(manager) as stranger:
        key = stranger.session.key
        stranger.session.key = b"wrong"
        stranger.kernel_info()
        stranger.session.key = key
        answered = stranger.kernel_info()
        # Answers keep the order of their requests: were there one to the first, it would come first.
        assert stranger.get_shell_msg(timeout=DEADLINE_S)["parent_header"]["msg_id"] == answered
    with frontend.client(manager) as friend:
        assert run_cell(friend, "return 1").value == "1"


def test_a_kernel_ends_with_the_frontend_that_started_it(frontend: Frontend) -> None:
    kernels = frontend.data_directory / "kernels"
    code = f"""
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
specs = KernelSpecManager(kernel_dirs=[{str(kernels)!r}])
manager = KernelManager(kernel_name={KERNEL_NAME!r}, kernel_spec_manager=specs)
manager.start_kernel()
client = manager.client()
client.start_channels(hb=False)
client.wait_for_ready(timeout={DEADLINE_S})
print(manager.provisioner.pid, flush=True)
input()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=frontend.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        kernel = psutil.Process(int(server.stdout.readline()))
        server.kill()
    kernel.wait(DEADLINE_S)
    assert not kernel.is_running()

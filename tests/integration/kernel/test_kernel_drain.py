"""A kernel that is told to end while something runs: what may finish, what is cancelled, and what each client hears."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.errors import Busy, Cancelled
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.ollama_replay import OllamaReplay
from tests.support.raw_sockets import raw_socket
from tests.support.steering import ask_kernel, wait_until

ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}
ENDLESS = "print('started') while true do end"
DRAINING = "Shutting Down"


def started(client: Client, code: str) -> Pending:
    """A script that has said something."""
    pending = client.request("execute_request", {"code": code}, metadata=ISOLATED)
    assert isinstance(next(iter(pending)), Delta)
    return pending


def by_signal(kernel: KernelProcess, client: Client) -> None:
    kernel.signal(signal.SIGTERM)


def by_request(kernel: KernelProcess, client: Client) -> None:
    assert ask_kernel(client, "drain")["draining"]


def by_shutdown(kernel: KernelProcess, client: Client) -> None:
    options = {"llmspell": {"drain_s": 60}}
    client.request("shutdown_request", {"restart": False}, channel="control", metadata=options).result()


@pytest.fixture(params=[by_signal, by_request, by_shutdown], ids=["SIGTERM", "drain", "shutdown"])
def told_to_end(request: pytest.FixtureRequest) -> Callable[[KernelProcess, Client], None]:
    """A way to end a kernel that leaves running work its time."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def patient(home: Path) -> Iterator[KernelProcess]:
    """A kernel that waits a minute for running work."""
    Path("config.toml").write_text("[kernel]\ndrain_timeout_seconds = 60\n")
    kernel = KernelProcess(["--config", "config.toml"])
    yield kernel
    kernel.stop()


@pytest.fixture
def hasty(home: Path) -> Iterator[KernelProcess]:
    """A kernel that waits a second for running work."""
    Path("config.toml").write_text("[kernel]\ndrain_timeout_seconds = 1\n")
    kernel = KernelProcess(["--config", "config.toml"])
    yield kernel
    kernel.stop()


def test_a_running_stream_finishes_while_new_work_is_refused_and_looking_is_not(
    home: Path, told_to_end: Callable[[KernelProcess, Client], None]
) -> None:
    talk = {
        "action": "chat",
        "model": "smollm2:135m@ollama",
        "messages": [{"role": "user", "content": "Hi"}],
        "options": {"max_tokens": 32},
    }
    with OllamaReplay("064-chat-stream", hold_after=5) as ollama:
        kernel = KernelProcess(env={"OLLAMA_HOST": ollama.base_url})
        try:
            with kernel.client() as client:
                running = client.request("model_request", talk)
                assert isinstance(next(iter(running)), Delta)
                told_to_end(kernel, client)
                status = wait_until(client, lambda status: status["state"] == DRAINING)
                assert status["active_requests"] == 1
                for msg_type, content in (("model_request", talk), ("execute_request", {"code": "return 1"})):
                    with pytest.raises(Busy, match="the kernel is shutting down and takes no more work") as refused:
                        client.request(msg_type, content).result()
                    assert refused.value.details["retry_after_s"] == 5
                assert ask_kernel(client, "queue")["requests"][0]["msg_id"] == running.msg_id
                ollama.release()
                assert running.result().content["finish_reason"] == "length"
            assert kernel.wait() == 0
        finally:
            kernel.stop()
    assert list((home / "run").iterdir()) == []


def test_work_that_exceeds_the_time_is_told_why_before_the_socket_closes(
    hasty: KernelProcess, told_to_end: Callable[[KernelProcess, Client], None]
) -> None:
    with hasty.client() as client, hasty.client() as other:
        first, second = started(client, ENDLESS), started(other, "print('also') " + ENDLESS)
        told_to_end(hasty, client)
        for pending in (first, second):
            with pytest.raises(Cancelled) as told:
                pending.result()
            assert told.value.message.endswith("the kernel is shutting down and has waited 1 s for running work")
            assert told.value.details["partial"]
    assert hasty.wait() == 0


def test_a_script_that_runs_may_still_ask_for_what_it_needs(patient: KernelProcess) -> None:
    code = """
        print('started')
        local t = os.clock()
        while os.clock() - t < 0.5 do end
        local agent = Agent.builder():model('mock/a'):build()
        return agent:execute({prompt = 'hi'}).text
    """
    with patient.client() as client:
        running = started(client, code)
        by_signal(patient, client)
        wait_until(client, lambda status: status["state"] == DRAINING)
        assert running.result().content["result"] == "[mock/a] hi"
    assert patient.wait() == 0


def test_a_second_drain_request_may_end_the_kernel_at_once(patient: KernelProcess) -> None:
    with patient.client() as client:
        running = started(client, ENDLESS)
        assert ask_kernel(client, "drain")["timeout_s"] == 60
        assert ask_kernel(client, "drain", timeout_s=90)["draining"], "asking again is no error"
        assert ask_kernel(client, "drain", timeout_s=0)["draining"]
        with pytest.raises(Cancelled, match="the kernel is shutting down"):
            running.result()
    assert patient.wait() == 0


def test_a_notebooks_cell_and_those_that_wait_behind_it_are_answered(hasty: KernelProcess) -> None:
    with hasty.client() as client:
        first = client.request("execute_request", {"code": "while true do end"})
        second = client.request("execute_request", {"code": "return 1"})
        wait_until(client, lambda status: status["active_requests"] == 2)
        by_signal(hasty, client)
        for pending in (first, second):
            with pytest.raises(Cancelled):
                pending.result()
    assert hasty.wait() == 0


def test_a_client_that_reads_slowly_gets_its_whole_reply_before_the_socket_closes(home: Path) -> None:
    words = " ".join(str(number % 10) for number in range(20_000))
    kernel = KernelProcess(env={"LLMSPELL_MOCK_REPLY": words})
    try:
        with raw_socket(kernel.info, hwm=1) as slow, kernel.client() as other:
            slow.send(slow.message("model_request", {"action": "generate", "model": "mock/slow", "prompt": "go"}))
            messages = [slow.receive()]
            wait_until(other, lambda status: status["active_requests"] == 0)
            kernel.signal(signal.SIGTERM)
            wait_until(other, lambda status: status["state"] == DRAINING)
            # From here on it has the two seconds that a socket lingers: what comes is looked at later.
            messages += slow.receive_until("model_reply")
        text = "".join(message.content.get("text", "") for message in messages)
        assert (messages[-1].content["status"], text) == ("ok", words)
        assert kernel.wait() == 0
    finally:
        kernel.stop()


@pytest.mark.slow
def test_a_model_that_answers_finishes_its_reply(home: Path, smollm2_path: Path) -> None:
    kernel = KernelProcess()
    with kernel.client() as client:
        pull = {"action": "pull", "model": f"file://{smollm2_path}@candle"}
        model = client.request("model_request", pull).result().content["model_id"] + "@candle"
        talk = {"action": "generate", "model": model, "prompt": "Count.", "options": {"max_tokens": 60, "seed": 1}}
        running = client.request("model_request", talk)
        next(event for event in running if isinstance(event, Delta))
        kernel.signal(signal.SIGTERM)
        assert running.result().content["usage"]["completion_tokens"] > 10
    assert kernel.wait() == 0


def foreground() -> tuple[Running, Client]:
    """`kernel start` in the foreground, and a client of it."""
    command = Running("kernel", "start", "--port", "0", "--id", "front")
    command.wait_for("Press Ctrl+C to stop")
    from llmspell_protocol.discovery import resolve

    client = Client(resolve("front", Path(os.environ["LLMSPELL_HOME"]) / "run", {})).connect(60.0)
    return command, client


def test_ctrl_c_in_the_foreground_lets_work_finish(home: Path) -> None:
    command, client = foreground()
    with client:
        code = "print('started') local t = os.clock() while os.clock() - t < 0.5 do end return 7"
        running = started(client, code)
        command.interrupt()
        assert running.result().content["result"] == 7
    done = command.done()
    assert done.status == 0
    assert "waiting for what still runs, 30 s at most; a second signal ends it at once" in done.err


def test_a_second_ctrl_c_in_the_foreground_ends_at_once(home: Path) -> None:
    command, client = foreground()
    with client:
        running = started(client, ENDLESS)
        command.interrupt()
        wait_until(client, lambda status: status["state"] == DRAINING)
        command.interrupt()
        with pytest.raises(Cancelled, match="the kernel is shutting down"):
            running.result()
    done = command.done()
    assert (done.status, done.err.count("waiting for what still runs"), "Traceback" in done.err) == (0, 1, False)
    assert list((home / "run").iterdir()) == []


def test_a_foreground_kernel_ends_with_its_terminal_although_sighup_reloads(home: Path) -> None:
    terminal = AtTerminal(["kernel", "start", "--port", "0", "--id", "front"], anew=True)
    terminal.wait_for("Press Ctrl+C to stop")
    terminal.process.send_signal(signal.SIGHUP)
    assert llmspell("--connect", "front", "chat", "mock/a", "--message", "x").out == "[mock/a] x\n"
    # It may have had something to say on a terminal that is gone.
    assert terminal.hang_up() in (0, 1)
    assert list((home / "run").iterdir()) == []


def test_an_unused_kernel_ends_after_its_idle_timeout_but_not_under_a_client(home: Path) -> None:
    kernel = KernelProcess(["--idle-timeout", "1"])
    with kernel.client() as client:
        code = "local t = os.clock() while os.clock() - t < 1.2 do end return 1"
        assert client.request("execute_request", {"code": code}, metadata=ISOLATED).result().content["result"] == 1
        assert kernel.process.poll() is None
    assert kernel.wait() == 0
    assert list((home / "run").iterdir()) == []

    never_used = KernelProcess(["--idle-timeout", "1"])
    assert never_used.wait() == 0


def test_one_client_more_than_the_limit_is_busy_until_another_leaves(home: Path) -> None:
    kernel = KernelProcess(["--max-clients", "2"])
    listing: dict[str, Any] = {"action": "list"}
    try:
        with kernel.client() as first, kernel.client() as third, kernel.client() as second:
            # Who spoke first was first; the third one's handshake came before the second one's.
            for client in (first, third):
                client.request("model_request", listing).result()
            with pytest.raises(Busy, match="the kernel serves 2 clients already") as refused:
                second.request("model_request", listing).result()
            assert refused.value.details == {"max_clients": 2, "retry_after_s": 5}
            third.close()
            wait_until(second, lambda status: status["clients"] == 2)
            second.request("model_request", listing).result()
    finally:
        kernel.stop()

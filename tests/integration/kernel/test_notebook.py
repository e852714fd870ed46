"""The kernel under real Jupyter frontends: the installed kernelspec, jupyter_client's manager and clients, nbclient."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.support.jupyter import (
    DEADLINE_S,
    KERNEL_NAME,
    Frontend,
    Json,
    ask,
    environment_of,
    finish_cell,
    llmspell,
    reply_to,
    run_cell,
)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first.ipynb"
ENDLESS = "print('running') while true do end"


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Frontend:
    """An installed kernelspec."""
    return Frontend(tmp_path_factory.mktemp("jupyter"))


@pytest.fixture(scope="module")
def manager(frontend: Frontend) -> Iterator[KernelManager]:
    """A kernel that the tests of this module share, its script worker running."""
    with frontend.kernel() as running:
        with frontend.client(running) as first:
            # Otherwise the cell may be over before its output is subscribed to.
            first.wait_for_ready(timeout=DEADLINE_S)
            run_cell(first, "return 1")
        yield running


@pytest.fixture(params=["json", "msgpack"])
def client(request: pytest.FixtureRequest, frontend: Frontend, manager: KernelManager) -> Iterator[Client]:
    """A client of the shared kernel, in each encoding."""
    with frontend.client(manager, request.param) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield connected


@pytest.fixture
def own(frontend: Frontend) -> Iterator[tuple[KernelManager, Client]]:
    """A kernel for one test, and its client."""
    with frontend.kernel() as running, frontend.client(running) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield running, connected


@pytest.fixture(scope="module")
def small_model(frontend: Frontend, smollm2_path: Path) -> str:
    """The real small model, installed in the frontend's home under the notebook's name; returns the spec."""
    file = frontend.home.parent / "smollm2.gguf"
    shutil.copyfile(smollm2_path, file)
    llmspell("model", "pull", file.as_uri(), environment=frontend.environment)
    return "local/smollm2@candle"


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


@pytest.mark.slow
def test_a_notebook_of_five_cells_runs_from_value_to_error(
    frontend: Frontend, small_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(frontend.data_directory))
    monkeypatch.setenv("LLMSPELL_HOME", str(frontend.home))
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    streamed: list[str] = []
    runner = RecordingRunner(notebook, streamed)
    with pytest.raises(CellExecutionError, match="nothing here works"):
        runner.execute()
    value, printed, state, answer, failure = (cell.outputs for cell in notebook.cells)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4, 5]
    assert value[0].data["text/plain"] == "42"
    assert (printed[0].name, printed[0].text) == ("stdout", "first line\nsecond line\n")
    assert state[0].data["text/plain"] == "43"
    assert answer[0].text.strip()
    assert answer[1].data["text/plain"] == "true"
    assert len(streamed) > 2, "the answer came in one piece"
    assert "".join(streamed) == answer[0].text
    assert "In[5]:2: nothing here works" in failure[0].evalue
    assert "In[5]:4: in main chunk" in "\n".join(failure[0].traceback)


class RecordingRunner(NotebookClient):
    """nbclient, keeping the text of each stream message of the fourth cell."""

    def __init__(self, notebook: nbformat.NotebookNode, streamed: list[str]) -> None:
        super().__init__(notebook, timeout=120, kernel_name=KERNEL_NAME, coalesce_streams=True)
        self._streamed = streamed

    def process_message(self, message: Json, cell: nbformat.NotebookNode, cell_index: int) -> Any:
        """Called for each message on IOPub."""
        if cell_index == 3 and message["msg_type"] == "stream":
            self._streamed.append(message["content"]["text"])
        return super().process_message(message, cell, cell_index)


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


def test_a_value_is_a_result_between_busy_and_idle(client: Client) -> None:
    cell = run_cell(client, "return 6 * 7")
    assert [kind for kind, _ in cell.published] == ["status", "execute_input", "execute_result", "status"]
    assert cell.of("status") == [{"execution_state": "busy"}, {"execution_state": "idle"}]
    count = cell.reply["execution_count"]
    assert cell.of("execute_input") == [{"code": "return 6 * 7", "execution_count": count}]
    assert cell.value == "42"
    assert cell.of("execute_result")[0]["execution_count"] == count
    assert cell.reply["status"] == "ok"
    assert run_cell(client, "return 1").reply["execution_count"] == count + 1


def test_an_expression_shows_its_value_without_return(client: Client) -> None:
    assert run_cell(client, "6 * 7").value == "42"


def test_state_is_kept_between_cells_and_shared_between_clients(
    client: Client, frontend: Frontend, manager: KernelManager
) -> None:
    run_cell(client, "kept = {n = 1}")
    run_cell(client, "kept.n = kept.n + 1")
    with frontend.client(manager) as other:
        other.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(other, "return kept.n").value == "2"


def test_an_agent_remembers_between_cells_and_belongs_to_its_client(client: Client) -> None:
    run_cell(client, "parrot = Agent.builder():name('parrot'):model('mock/parrot'):build()")
    assert run_cell(client, "return parrot:complete('one')").value == '"[mock/parrot] one"'
    run_cell(client, "parrot:execute('two')")
    history = run_cell(client, "for _, turn in ipairs(parrot:get_history()) do print(turn.role, turn.content) end")
    assert history.stdout.splitlines() == [
        "user\tone",
        "assistant\t[mock/parrot] one",
        "user\ttwo",
        "assistant\t[mock/parrot] two",
    ]
    # A client's own agents belong to the client, the notebook's to the shared context.
    assert ask(client, "shell", "agent_request", {"action": "list"})["agents"] == []
    run_cell(client, "parrot:clear_history()")
    assert run_cell(client, "return #parrot:get_history()").value == "0"


def test_printing_is_a_stream_and_no_result(client: Client) -> None:
    cell = run_cell(client, "print('a', 1) io.write('b') io.stderr:write('c')")
    assert cell.stdout == "a\t1\nb"
    assert [content["text"] for content in cell.of("stream") if content["name"] == "stderr"] == ["c"]
    assert cell.value is None


def test_an_error_is_published_and_replied_with_its_place(client: Client) -> None:
    cell = run_cell(client, "local x = 1\nerror('broken')")
    count = cell.reply["execution_count"]
    (published,) = cell.of("error")
    assert cell.reply["status"] == "error"
    for content in (published, cell.reply):
        assert f"In[{count}]:2: broken" in content["evalue"]
        assert content["ename"]
        assert content["traceback"]
    assert cell.reply["code"] == "script_error"


def test_silent_cells_leave_no_trace(client: Client) -> None:
    before = run_cell(client, "hidden = 1 return hidden").reply["execution_count"]
    cell = run_cell(client, "hidden = hidden + 1 return hidden", silent=True)
    assert [kind for kind, _ in cell.published] == ["status", "status"]
    assert cell.reply["status"] == "ok"
    after = run_cell(client, "return hidden")
    assert (after.value, after.reply["execution_count"]) == ("2", before + 1)


def test_a_cell_without_history_does_not_raise_the_count(client: Client) -> None:
    before = run_cell(client, "return 1").reply["execution_count"]
    cell = run_cell(client, "return 2", store_history=False)
    assert cell.value == "2"
    assert run_cell(client, "return 3").reply["execution_count"] == before + 1


def test_user_expressions_are_evaluated_after_the_code_each_with_its_own_status(client: Client) -> None:
    cell = run_cell(client, "seen = 20", user_expressions={"good": "seen + 1", "bad": "nothing.there"})
    assert cell.reply["status"] == "ok"
    assert cell.reply["user_expressions"]["good"]["data"]["text/plain"] == "21"
    assert cell.reply["user_expressions"]["bad"]["status"] == "error"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("return 1", "complete"),
        ("6 * 7", "complete"),
        ("for i = 1, 3 do print(i) end", "complete"),
        ("for i = 1, 3 do", "incomplete"),
        ("function f(", "incomplete"),
        ("x = [[open", "incomplete"),
        ("--[[ open", "incomplete"),
        ("x = = 1", "invalid"),
    ],
)
def test_is_complete_tells_open_from_wrong_code(client: Client, code: str, status: str) -> None:
    assert ask(client, "shell", "is_complete_request", {"code": code})["status"] == status


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("strin", "string"),
        ("x = string.form", "x = string.format"),
        ("own_tab", "own_table"),
        ("own_table.fi", "own_table.field"),
    ],
)
def test_complete_knows_globals_and_fields(client: Client, code: str, wanted: str) -> None:
    run_cell(client, "own_table = {field = 1}")
    reply = ask(client, "shell", "complete_request", {"code": code, "cursor_pos": len(code)})
    assert reply["status"] == "ok"
    before, after = code[: reply["cursor_start"]], code[reply["cursor_end"] :]
    assert wanted in [before + match + after for match in reply["matches"]]


def test_history_and_comm_info_are_empty(client: Client) -> None:
    history = {"hist_access_type": "tail", "n": 10, "output": False, "raw": True}
    assert ask(client, "shell", "history_request", history)["history"] == []
    assert ask(client, "shell", "comm_info_request")["comms"] == {}


def test_what_is_not_built_is_answered_as_unsupported(client: Client) -> None:
    reply = ask(client, "shell", "inspect_request", {"code": "print", "cursor_pos": 3, "detail_level": 0})
    assert (reply["status"], reply["code"]) == ("error", "unsupported")
    reply = ask(client, "control", "debug_request", {"command": "initialize"})
    assert (reply["status"], reply["code"]) == ("error", "unsupported")


def test_input_fails_at_once_where_the_frontend_has_none(client: Client) -> None:
    cell = run_cell(client, "return io.read()", allow_stdin=False)
    assert cell.reply["status"] == "error"
    assert "input" in cell.reply["evalue"]


def test_input_comes_from_the_frontend_that_allows_it(client: Client) -> None:
    msg_id = client.execute("io.write('name? ') return io.read()", allow_stdin=True)
    question = client.get_stdin_msg(timeout=DEADLINE_S)
    assert question["content"]["password"] is False
    client.input("Ada")
    assert finish_cell(client, msg_id).value == '"Ada"'


def test_an_error_aborts_what_the_same_client_has_queued(client: Client) -> None:
    failing = client.execute("io.read() error('stop here')", allow_stdin=True)
    client.get_stdin_msg(timeout=DEADLINE_S)
    queued = [client.execute(f"ran = {number}", allow_stdin=False) for number in (1, 2)]
    # Shell keeps the order: when this is answered, the two before it have come.
    ask(client, "shell", "kernel_info_request")
    client.input("go on")
    assert reply_to(client, failing)["status"] == "error"
    assert [reply_to(client, msg_id)["status"] for msg_id in queued] == ["aborted", "aborted"]
    for msg_id in (failing, *queued):
        drain_until_idle(client, msg_id)
    assert run_cell(client, "return ran == nil").value == "true"


def test_without_stop_on_error_the_queue_goes_on(client: Client) -> None:
    failing = client.execute("io.read() error('go on')", allow_stdin=True, stop_on_error=False)
    client.get_stdin_msg(timeout=DEADLINE_S)
    queued = client.execute("return 'ran'", allow_stdin=False)
    ask(client, "shell", "kernel_info_request")
    client.input("go on")
    assert reply_to(client, failing)["status"] == "error"
    assert reply_to(client, queued)["status"] == "ok"


def drain_until_idle(client: Client, msg_id: str) -> None:
    """Reads IOPub up to the idle of a request."""
    while True:
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") == msg_id and message["content"].get("execution_state") == "idle":
            return


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

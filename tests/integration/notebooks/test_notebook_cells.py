"""Cells under jupyter_client and nbclient: results, streams, errors, state, completions, input and the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.support.asking_again import asked_until
from tests.support.jupyter import (
    DEADLINE_S,
    KERNEL_NAME,
    Frontend,
    Json,
    ask,
    finish_cell,
    reply_to,
    run_cell,
)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first.ipynb"


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
    # What took longer than a moment, the model's load, has a display of its own.
    answer = [output for output in answer if output.output_type != "display_data"]
    assert answer[0].text.strip()
    assert (answer[1].name, answer[1].text) == ("stderr", "[cut at 48 tokens; longer: max_tokens = 96]\n")
    assert answer[2].data["text/plain"] == "true"
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
        if cell_index == 3 and message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            self._streamed.append(message["content"]["text"])
        return super().process_message(message, cell, cell_index)


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


def test_a_reply_that_was_cut_is_told_below_its_cell_and_in_its_result(client: Client) -> None:
    run_cell(client, "brief = Agent.builder():model('mock/brief'):max_tokens(2):build()")
    code = "local r = brief:execute('one two three'); return r.finish_reason .. ' ' .. tostring(r.truncated)"
    cell = run_cell(client, code)
    assert cell.of("stream") == [{"name": "stderr", "text": "[cut at 2 tokens; longer: max_tokens = 4]\n"}]
    assert cell.value == '"length true"'
    streamed = run_cell(client, "local r = brief:invokeStream('one two three', print); return r.truncated")
    assert ("stderr" in [piece["name"] for piece in streamed.of("stream")], streamed.value) == (True, "true")
    whole = run_cell(client, "return brief:execute('one', {max_tokens = 9}).truncated")
    assert (whole.of("stream"), whole.value) == ([], "false")


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
    reply = asked_until(
        lambda: ask(client, "shell", "is_complete_request", {"code": code}), lambda reply: reply["status"] != "unknown"
    )
    assert reply["status"] == status


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
    content = {"code": code, "cursor_pos": len(code)}
    reply = asked_until(lambda: ask(client, "shell", "complete_request", content), lambda reply: bool(reply["matches"]))
    assert reply["status"] == "ok"
    before, after = code[: reply["cursor_start"]], code[reply["cursor_end"] :]
    assert wanted in [before + match + after for match in reply["matches"]]


def test_no_comm_is_open(client: Client) -> None:
    assert ask(client, "shell", "comm_info_request")["comms"] == {}


def test_shift_tab_shows_the_signature_and_what_a_function_does(client: Client) -> None:
    content = {"code": "a = Agent.create{model = 'x'}", "cursor_pos": 10, "detail_level": 0}
    reply = asked_until(lambda: ask(client, "shell", "inspect_request", content), lambda reply: bool(reply["found"]))
    assert (reply["status"], reply["found"]) == ("ok", True)
    assert reply["data"]["text/plain"].startswith("Agent.create(settings) → agent\n")


def test_what_is_not_built_is_answered_as_unsupported(client: Client) -> None:
    reply = ask(client, "control", "usage_request", {})
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

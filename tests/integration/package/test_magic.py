"""`%%llmspell` in a real Python notebook kernel: output, values, displays, input, errors, interrupts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from llmspell import connect
from tests.support.jupyter import DEADLINE_S, Cell, finish_cell, run_cell
from tests.support.kernels import KernelProcess


@pytest.fixture(scope="module")
def notebook(
    shared_home: Path, shared_kernel: KernelProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[KernelManager, Client]]:
    """A Python kernel with the magic loaded, at the home of a kernel of ours."""
    manager = KernelManager(kernel_name="python3")
    environment = {**os.environ, "LLMSPELL_HOME": str(shared_home), "IPYTHONDIR": str(tmp_path_factory.mktemp("i"))}
    manager.start_kernel(env=environment, cwd=str(shared_home.parent))
    client: Client = manager.client()
    client.start_channels(hb=False)
    try:
        client.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(client, "%load_ext llmspell").reply["status"] == "ok"
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.fixture
def client(notebook: tuple[KernelManager, Client]) -> Client:
    return notebook[1]


def _error(cell: Cell) -> str:
    assert cell.reply["status"] == "error", cell
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(cell.reply["traceback"]))


def test_a_cell_runs_lua_and_shows_what_it_prints_and_gives(client: Client) -> None:
    cell = run_cell(client, "%%llmspell\nprint('hello')\nio.stderr:write('careful')\nkept = 20\nreturn kept + 1")
    assert cell.reply["status"] == "ok", cell.reply
    assert cell.stdout == "hello\n"
    assert [one["text"] for one in cell.of("stream") if one["name"] == "stderr"] == ["careful"]
    assert [one["data"]["text/plain"] for one in cell.of("display_data")] == ["21"]


def test_cells_share_the_kernels_state_and_a_line_is_code_too(client: Client) -> None:
    run_cell(client, "%%llmspell\nshared = {n = 2}")
    assert run_cell(client, "%llmspell shared.n * 21").of("display_data")[0]["data"]["text/plain"] == "42"


def test_a_value_is_kept_in_a_python_variable(client: Client) -> None:
    run_cell(client, "%%llmspell -o found\nreturn {name = 'Ada', list = {1, 2}}")
    assert run_cell(client, "found['name'], found['list']").value == "('Ada', [1, 2])"


def test_a_value_that_python_can_not_have_is_shown_and_no_variable_is_set(client: Client) -> None:
    cell = run_cell(client, "%%llmspell -o latin\n{a = '\\xe9'}")
    assert "'latin' was not set: the value has no form as data" in _error(cell)
    assert cell.of("display_data")[0]["data"]["text/plain"] == '{a = "\N{REPLACEMENT CHARACTER}"}'
    assert run_cell(client, "'latin' in globals()").value == "False"


def test_with_a_model_the_cell_is_a_question(client: Client) -> None:
    cell = run_cell(client, "%%llmspell -m mock/a -o answer\nWhat is it?\nTell me.")
    assert cell.stdout == "[mock/a] What is it?\nTell me.\n"
    assert run_cell(client, "answer").value == repr("[mock/a] What is it?\nTell me.")


def test_an_error_has_the_notebooks_own_line_and_no_frames_of_python(client: Client) -> None:
    cell = run_cell(client, "%%llmspell\nlocal x = 1\nerror('broken')")
    said = _error(cell)
    number = cell.of("execute_input")[0]["execution_count"]
    assert f"In[{number}]:3: broken" in said
    assert "3 | error('broken')" in said
    assert "magic.py" not in said
    assert cell.reply["evalue"].endswith("broken")


def test_a_model_that_there_is_not_is_told_with_what_to_do(client: Client) -> None:
    said = _error(run_cell(client, "%%llmspell -m nosuch@candle\nhello"))
    assert "nosuch" in said
    assert "hint: " in said


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("%%llmspell print('x')\n1", "stands behind %%llmspell"),
        ("%llmspell", "and Lua, or with -m a question"),
        ("%%llmspell -o 1x\nnever = true", "'1x' is not a name that a Python variable can have"),
        ("%llmspell -o class never = true", "'class' is not a name that a Python variable can have"),
        ("%%llmspell -k nosuch\nreturn 1", "there is no kernel 'nosuch'"),
    ],
)
def test_wrong_use_is_told(code: str, says: str, client: Client) -> None:
    cell = run_cell(client, code)
    told = "".join(one["text"] for one in cell.of("stream")) + "\n".join(cell.reply.get("traceback") or [])
    assert says in told
    assert "magic.py" not in told


def test_lua_reads_from_the_notebooks_reader(client: Client) -> None:
    msg_id = client.execute("%%llmspell\nio.write('name? ') return io.read()", allow_stdin=True)
    client.get_stdin_msg(timeout=DEADLINE_S)
    client.input("Ada")
    assert finish_cell(client, msg_id).of("display_data")[0]["data"]["text/plain"] == '"Ada"'


@pytest.mark.parametrize("code", ["return io.read()", "return input('name? ')", "return getpass('key? ')"])
def test_where_the_frontend_takes_no_input_asking_is_an_error_of_the_cells(code: str, client: Client) -> None:
    said = _error(finish_cell(client, client.execute(f"%%llmspell\n{code}", allow_stdin=False)))
    assert "input is not possible here" in said
    assert ".py" not in said
    told = finish_cell(client, client.execute("%llmspell select(2, pcall(input, '?'))", allow_stdin=False))
    assert "input is not possible here" in told.of("display_data")[0]["data"]["text/plain"]


def test_interrupting_the_cell_ends_its_lua(
    notebook: tuple[KernelManager, Client], shared_kernel: KernelProcess
) -> None:
    manager, client = notebook
    seen: list[str] = []

    def interrupt(msg_type: str, _content: object) -> None:
        if msg_type == "stream" and not seen:
            seen.append(msg_type)
            manager.interrupt_kernel()

    cell = run_cell(client, "%%llmspell\nprint('running') while true do end", on_published=interrupt)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert run_cell(client, "%llmspell 1 + 1").of("display_data")[0]["data"]["text/plain"] == "2"


def test_a_cells_model_may_stream_under_the_notebooks_own_loop(client: Client) -> None:
    code = """
from llmspell import connect, connect_async
with connect() as kernel:
    print("".join(kernel.stream("one two", model="mock/a")))
async with await connect_async() as kernel:
    print((await kernel.chat("three", model="mock/a")).text)
kernel
"""
    cell = run_cell(client, code)
    assert cell.stdout == "[mock/a] one two\n[mock/a] three\n"


def test_a_bar_is_a_widget_in_a_notebook(client: Client, shared_home: Path) -> None:
    code = f"""
from llmspell import connect
from llmspell.progress import chosen, in_notebook
with connect() as kernel:
    pulled = kernel.models.pull("file://{shared_home.parent}/tiny.gguf", force=True)
pulled.download_status, in_notebook()
"""
    cell = run_cell(client, code)
    assert cell.value == "('complete', True)", cell
    assert any("application/vnd.jupyter.widget-view+json" in one["data"] for one in cell.of("display_data"))


def test_answers_are_shown_as_markdown(client: Client) -> None:
    code = 'from llmspell import connect\nwith connect() as k:\n    a = k.chat("**bold**", model="mock/a")\na'
    (result,) = run_cell(client, code).of("execute_result")
    assert result["data"]["text/markdown"] == "[mock/a] **bold**"


def test_the_magic_connects_again_where_its_kernel_was_restarted(client: Client, at_home: Path) -> None:
    other = KernelProcess(["--id", "other"])
    try:
        assert run_cell(client, "%%llmspell -k other\nreturn 1").reply["status"] == "ok"
    finally:
        other.stop()
    assert "other" in _error(run_cell(client, "%%llmspell -k other\nreturn 1"))
    other = KernelProcess(["--id", "other"])
    try:
        assert run_cell(client, "%%llmspell -k other\nreturn 1").reply["status"] == "ok"
        with connect("other") as kernel:
            assert kernel.id == "other"
    finally:
        other.stop()


def test_unloading_closes_the_connections(client: Client, at_home: Path) -> None:
    run_cell(client, "%llmspell 1")
    assert run_cell(client, "%unload_ext llmspell").reply["status"] == "ok"
    assert run_cell(client, "%reload_ext llmspell\n%llmspell 2").reply["status"] == "ok"

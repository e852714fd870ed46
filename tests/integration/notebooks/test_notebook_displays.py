"""What cells show, as frontends get it: forms, updates, progress, widgets, floods; jupyter_client and nbclient."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from llmspell_kernel.scripting.flood import MESSAGE_BYTES
from llmspell_kernel.scripting.widgets import VIEW
from tests.support.command_line import llmspell
from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Cell, Frontend, Json, ask, finish_cell, run_cell
from tests.support.notebook_server_limits import NotebookServer


@pytest.fixture(scope="module")
def one(frontend: Frontend, manager: KernelManager) -> Iterator[Client]:
    """The client of this module's tests."""
    with frontend.client(manager) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield connected


def test_what_is_no_utf8_is_shown_as_run_shows_it(one: Client, tmp_path: Path) -> None:
    code = 'print("caf\\xe9 \\xff\\xfe") io.write("\\xe2") io.write("\\x82\\xac\\n") io.write("\\xe2\\x82")'
    (tmp_path / "latin.lua").write_text(code)
    shown = "caf\ufffd \ufffd\ufffd\n€\n\ufffd"
    assert run_cell(one, code).stdout == shown
    assert llmspell("--embedded", "run", str(tmp_path / "latin.lua")).out == shown
    assert run_cell(one, 'return "caf\\xe9"').value == '"caf\ufffd"'
    said = run_cell(one, 'error("caf\\xe9")').reply["evalue"]
    assert said.endswith("caf\ufffd")


def test_a_display_has_all_forms_and_stands_between_prints(one: Client) -> None:
    cell = run_cell(one, 'print("a") display{html = "<b>x</b>", json = {1}} print("b")')
    kinds = [kind for kind, _ in cell.published if kind in ("stream", "display_data")]
    assert kinds == ["stream", "display_data", "stream"]
    assert cell.of("display_data") == [
        {
            "data": {"text/html": "<b>x</b>", "application/json": [1], "text/plain": "x"},
            "metadata": {},
            "transient": {},
        }
    ]


def test_a_cells_value_has_the_forms_that_its_object_gives(one: Client) -> None:
    cell = run_cell(one, "setmetatable({}, {__repr_svg = function() return '<svg/>' end})")
    (result,) = cell.of("execute_result")
    assert result["data"] == {"image/svg+xml": "<svg/>", "text/plain": "{}"}
    (result,) = run_cell(one, "{{n = 1}, {n = 2}}").of("execute_result")
    assert result["data"]["text/plain"] == "{{n = 1}, {n = 2}}"
    assert result["data"]["text/html"].startswith("<table>")


def test_an_update_names_the_display_of_an_earlier_cell(one: Client) -> None:
    first = run_cell(one, "d = display('a', {id = true})")
    later = run_cell(one, "d:update('b')")
    (shown,), (changed,) = first.of("display_data"), later.of("update_display_data")
    assert shown["transient"] == changed["transient"]
    assert changed["data"] == {"text/plain": "b"}


def test_what_functions_show_that_run_for_a_cell_is_shown_below_it(one: Client) -> None:
    code = """
    Tool.register{name = "draw", description = "d", parameters = {type = "object"}, execute = function()
      display{html = "<i>drawn</i>"} return {ok = true}
    end}
    Tool.execute("draw", {})
    """
    assert run_cell(one, code).of("display_data")[0]["data"]["text/plain"] == "drawn"


def test_progress_is_a_display_with_text_where_there_are_no_widgets(one: Client) -> None:
    cell = run_cell(one, "local p = Progress.new(2, 'files') p:add() Utils.sleep(0.5) p:done()")
    shown = [content for kind, content in cell.published if kind.endswith("display_data")]
    assert {*shown[0]["data"]} == {"text/plain", "text/html"}
    assert shown[-1]["data"]["text/plain"] == "files  2 of 2  ✓"
    assert len({content["transient"]["display_id"] for content in shown}) == 1
    assert cell.of("comm_open") == []


def test_an_interrupt_leaves_progress_that_stopped(one: Client) -> None:
    def interrupt(kind: str, _content: Json) -> None:
        if kind == "display_data":
            ask(one, "control", "interrupt_request")

    cell = run_cell(one, "Progress.new(2, 'files'):add() Utils.sleep(60)", on_published=interrupt)
    assert cell.reply["status"] == "error"
    assert cell.of("update_display_data")[-1]["data"]["text/plain"] == "files  50 %  1 of 2  ✗ stopped"


def test_silent_cells_show_no_progress(one: Client) -> None:
    cell = run_cell(one, "Progress.new(2):done()", silent=True)
    assert [kind for kind, _ in cell.published] == ["status", "status"]


def test_ten_thousand_prints_arrive_whole_in_few_messages(one: Client) -> None:
    cell = run_cell(one, "for i = 1, 10000 do print('line', i) end")
    assert cell.stdout == "".join(f"line\t{number}\n" for number in range(1, 10_001))
    assert len(cell.of("stream")) < 200


def test_a_flood_is_bounded_and_its_end_arrives(one: Client) -> None:
    server, sizes = NotebookServer(), [0]

    def count(kind: str, content: Json) -> None:
        text = str(content.get("text", ""))
        sizes[0] += len(text)
        server.take(kind, MESSAGE_BYTES + len(text) + text.count("\n"), time.monotonic())

    code = "for i = 1, 400000 do print('a line of some length with a number', i) end print('the end')"
    cell = run_cell(one, code, on_published=count)
    assert server.dropped == 0
    assert cell.stdout.endswith("\nthe end\n")
    assert "characters were cut here" in "".join(one["text"] for one in cell.of("stream") if one["name"] == "stderr")
    assert sizes[0] < 16_000_000


def test_what_was_written_before_a_library_function_that_hangs_is_seen(own: tuple[KernelManager, Client]) -> None:
    _, one = own

    def interrupt(kind: str, content: Json) -> None:
        if kind == "stream" and "third" in content["text"]:
            ask(one, "control", "interrupt_request")

    code = "print('first') print('second') print('third') local x = ('a'):rep(3000):find('.-.-.-.-.-b')"
    cell = run_cell(one, code, on_published=interrupt)
    assert cell.stdout == "first\nsecond\nthird\n"
    assert cell.reply["status"] == "error"


# Notebook files

CELLS = [
    'display{html = "<b>bold</b>"} print("printed")',
    '{{name = "a", n = 1}, {name = "b", n = 2}}',
    'local d = display("first", {id = true}) d:update{markdown = "**last**"}',
    'for i = 1, 50 do clear_output(true) print("frame " .. i) end',
    'local p = Progress.new(3, "files") for i = 1, 3 do p:update(i) end p:done()',
]


class WithWidgets(NotebookClient):
    """nbclient as a frontend with widgets: it asks for their states, as JupyterLab does when it connects."""

    async def async_execute_cell(self, *arguments: Any, **options: Any) -> nbformat.NotebookNode:
        """Asks before each cell, which changes nothing the second time."""
        assert self.kc is not None
        message = self.kc.session.msg(
            "comm_open",
            {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}},
            metadata={"version": "1.0.0"},
        )
        self.kc.shell_channel.send(message)
        await asyncio.sleep(0)
        return await super().async_execute_cell(*arguments, **options)


def executed(frontend: Frontend, kind: type[NotebookClient], monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook of `CELLS`, executed."""
    monkeypatch.setenv("JUPYTER_PATH", str(frontend.data_directory))
    monkeypatch.setenv("LLMSPELL_HOME", str(frontend.home))
    cells = [nbformat.v4.new_code_cell(code) for code in CELLS]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    kind(notebook, timeout=120, kernel_name=KERNEL_NAME).execute()
    return notebook


def test_nbclient_writes_a_valid_notebook_of_what_cells_show(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    notebook = executed(frontend, NotebookClient, monkeypatch)
    nbformat.validate(notebook)
    nbformat.write(notebook, tmp_path / "shown.ipynb")  # type: ignore[no-untyped-call]
    bold, table, updated, frames, progress = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in bold] == ["display_data", "stream"]
    assert table[0].data["text/html"].startswith("<table>")
    assert [output.data for output in updated] == [{"text/markdown": "**last**", "text/plain": "**last**"}]
    assert [output.text for output in frames] == ["frame 50\n"]
    assert [output.data["text/plain"] for output in progress] == ["files  3 of 3  ✓"]
    assert "widgets" not in notebook.metadata


def test_a_frontend_with_widgets_has_a_bar_of_ipywidgets(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(frontend, WithWidgets, monkeypatch)
    nbformat.validate(notebook)
    kept = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    assert (kept.version_major, kept.version_minor) == (2, 0)
    models = {one.model_name: one for one in kept.state.values()}
    assert {*models} == {
        *("FloatProgressModel", "ProgressStyleModel", "LabelModel", "LabelStyleModel", "HBoxModel", "LayoutModel")
    }
    bar, label = models["FloatProgressModel"].state, models["LabelModel"].state
    assert (bar.value, bar.max, bar.bar_style) == (1.0, 1.0, "success")
    assert label.value == "files · 3 of 3 · ✓"
    box = models["HBoxModel"].state
    assert [kept.state[child.removeprefix("IPY_MODEL_")].model_name for child in box.children] == [
        "FloatProgressModel",
        "LabelModel",
    ]
    # What stays in the notebook needs no widget that runs.
    (shown,) = notebook.cells[4].outputs
    assert VIEW not in shown.data
    assert shown.data["text/plain"] == "files  3 of 3  ✓"
    assert_models_are_those_of_ipywidgets([*kept.state.values()])


def assert_models_are_those_of_ipywidgets(models: list[Any]) -> None:
    """Compares them with what the package itself sends for such a bar."""
    box = ipywidgets.HBox([ipywidgets.FloatProgress(), ipywidgets.Label()])
    bar, label = box.children
    real = {
        widget.get_state()["_model_name"]: widget.get_state()
        for widget in (box, bar, label, bar.layout, bar.style, label.style)
    }
    for model in models:
        theirs = real[model.model_name]
        assert model.model_module == theirs["_model_module"]
        assert model.model_module_version == theirs["_model_module_version"]
        assert {*model.state} <= {*theirs}
        named = {key: value for key, value in model.state.items() if key.startswith("_")}
        assert named == {key: [] if theirs[key] == () else theirs[key] for key in named}
        # What is left out is what a frontend takes for its default.
        left = {key: value for key, value in theirs.items() if key not in model.state}
        assert set(left.values()) <= {None}, left


def test_a_frontend_that_connects_later_gets_the_states_of_all_widgets(frontend: Frontend, one: Client) -> None:
    opened = {"comm_id": "later", "target_name": "jupyter.widget.control", "data": {}}
    say(one, "comm_open", opened)
    running = one.execute("local p = Progress.new(4, 'files') p:update(1) Utils.sleep(60)")
    view = None
    while view is None:
        message = one.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "display_data":
            view = message["content"]["data"][VIEW]["model_id"]
    (told,) = say(one, "comm_msg", {"comm_id": "later", "data": {"method": "request_states"}}).of("comm_msg")
    assert told["comm_id"] == "later"
    assert told["data"]["method"] == "update_states"
    assert told["data"]["states"][view]["model_name"] == "HBoxModel"
    (state,) = say(one, "comm_msg", {"comm_id": view, "data": {"method": "request_state"}}).of("comm_msg")
    assert state["comm_id"] == view
    assert len(state["data"]["state"]["children"]) == 2
    ask(one, "control", "interrupt_request")
    cell = finish_cell(one, running)
    assert {one["comm_id"] for one in cell.of("comm_close")} >= {view}
    assert ask(one, "shell", "comm_info_request", {"target_name": "jupyter.widget"})["comms"] == {}


def say(client: Client, msg_type: str, content: Json) -> Cell:
    """Sends a comm's message and waits for its idle."""
    message = client.session.msg(msg_type, content)
    client.shell_channel.send(message)
    published: list[tuple[str, Json]] = []
    while not published or published[-1] != ("status", {"execution_state": "idle"}):
        received = client.get_iopub_msg(timeout=DEADLINE_S)
        if received["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            published.append((received["msg_type"], received["content"]))
    return Cell({}, published)

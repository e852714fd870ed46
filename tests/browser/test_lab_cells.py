"""Cells in JupyterLab: values, errors, help, input, answers of a model, interrupt and restart."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Open

ANSWER = """
agent = Agent.create { model = "local/smollm2@candle", temperature = 0, max_tokens = %d }
agent:invokeStream("Count from one to a hundred.", function(chunk) io.write(chunk.text) end)
print("the end")
"""
STDOUT = "[data-mime-type='application/vnd.jupyter.stdout']"


def test_run_all_shows_prints_values_and_numbers(open_notebook: Open) -> None:
    notebook = open_notebook("x = 20 + 1\nprint('hello')\nx * 2", "x + 1")
    notebook.run_all()
    assert (notebook.text(0).split(), notebook.text(1)) == (["hello", "42"], "22")


def test_an_error_names_the_cell_s_line(open_notebook: Open) -> None:
    notebook = open_notebook("local t = {}\n\nerror('wrong here')")
    notebook.run(0)
    notebook.wait_for_text(0, "wrong here")
    assert "In[1]:3: wrong here" in notebook.text(0)
    assert "3 | error('wrong here')" in notebook.text(0)


def test_tab_completes_from_the_live_state(open_notebook: Open) -> None:
    notebook = open_notebook("shelf = { books = 3, boxes = 4 }", "shelf.bo")
    notebook.run(0)
    notebook.wait_ran(0)
    notebook.edit(1)
    notebook.page.keyboard.press("Tab")
    completer = notebook.page.locator(".jp-Completer")
    completer.wait_for()
    assert completer.locator(".jp-Completer-match").all_inner_texts() == ["books", "boxes"]
    notebook.page.keyboard.press("Enter")
    assert notebook.cell(1).locator(".cm-content").inner_text().strip() == "shelf.books"


def test_shift_tab_shows_what_a_function_does(open_notebook: Open) -> None:
    notebook = open_notebook("LocalLLM.list")
    notebook.edit(0)
    notebook.page.keyboard.press("Shift+Tab")
    expect(notebook.page.locator(".jp-Tooltip")).to_contain_text("LocalLLM.list(")


def test_a_cell_reads_what_is_typed_into_its_box(open_notebook: Open) -> None:
    notebook = open_notebook("io.write('Name? ')\nname = io.read()\nprint('Hello ' .. name)")
    notebook.run(0)
    box = notebook.cell(0).locator(".jp-Stdin-input")
    box.wait_for()
    box.fill("Ada")
    box.press("Enter")
    notebook.wait_for_text(0, "Hello Ada")


def test_an_interrupt_ends_an_answer_that_streams(open_notebook: Open) -> None:
    notebook = open_notebook(f"repeat {ANSWER % 200} until false", "print('after')")
    notebook.run(0)
    notebook.cell(0).locator(STDOUT).first.wait_for()
    assert notebook.kernel_status() == "busy"
    notebook.command("notebook:interrupt-kernel")
    notebook.wait_for_text(0, "interrupted")
    notebook.run(1)
    notebook.wait_for_text(1, "after")


def test_an_answer_of_a_model_comes_whole(open_notebook: Open) -> None:
    notebook = open_notebook(ANSWER % 30)
    notebook.run(0)
    notebook.wait_for_text(0, "the end")
    assert len(re.findall(r"\w+", notebook.text(0))) > 5


def test_a_restart_forgets_variables_and_counts_from_one(open_notebook: Open) -> None:
    notebook = open_notebook("kept = 1\nkept", "tostring(kept)")
    notebook.run(0)
    notebook.wait_for_text(0, "1")
    notebook.command("notebook:restart-kernel")
    notebook.page.locator(".jp-Dialog button.jp-mod-warn").click()
    notebook.wait_idle()
    notebook.run(1)
    notebook.wait_for_text(1, "nil")
    assert notebook.cell(1).locator(".jp-InputPrompt").inner_text() == "[1]:"

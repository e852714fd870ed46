"""What JupyterLab shows beside text: tables, progress of a model's loading, bars as widgets, floods."""

from __future__ import annotations

from tests.browser.conftest import Open


def test_a_table_of_rows_is_a_table(open_notebook: Open) -> None:
    notebook = open_notebook("return { { name = '<b>Ada</b>', born = 1815 }, { name = 'Grace', born = 1906 } }")
    notebook.run(0)
    table = notebook.cell(0).locator(".jp-OutputArea-output table")
    table.wait_for()
    assert table.locator("th").all_inner_texts()[-2:] == ["born", "name"]
    assert table.locator("td").all_inner_texts()[-4:] == ["1815", "<b>Ada</b>", "1906", "Grace"]


def test_a_display_is_updated_in_place(open_notebook: Open) -> None:
    notebook = open_notebook(
        "shown = display({ html = '<i>before</i>' }, { id = true })", "shown:update({ html = '<i>after</i>' })"
    )
    notebook.run_all()
    notebook.wait_for_text(0, "after")
    assert (notebook.text(0).strip(), notebook.text(1).strip()) == ("after", "")


def test_a_progress_bar_is_a_widget_while_it_runs_and_text_when_it_has_ended(open_notebook: Open) -> None:
    notebook = open_notebook("bar = Progress.new(4, 'counting')\nbar:update(1)\nio.read()\nbar:update(4)\nbar:done()")
    notebook.run(0)
    box = notebook.cell(0).locator(".jp-Stdin-input")
    box.wait_for()
    notebook.cell(0).locator(".jupyter-widgets .progress, .jupyter-widgets.widget-label").first.wait_for()
    box.press("Enter")
    notebook.wait_for_text(0, "4 of 4")
    assert notebook.cell(0).locator(".jupyter-widgets").count() == 0


def test_a_flood_keeps_its_end_and_says_what_was_cut(open_notebook: Open) -> None:
    notebook = open_notebook("for i = 1, 300000 do print('line ' .. i) end")
    notebook.run(0)
    notebook.wait_for_text(0, "line 300000")
    assert "rate exceeded" not in notebook.text(0)

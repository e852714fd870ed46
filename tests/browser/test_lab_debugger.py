"""JupyterLab's debugger on a Lua notebook: a breakpoint that is hit, a variable that is read, steps, and going on."""

from __future__ import annotations

from tests.browser.conftest import Open

CODE = "local total = 0\nfor i = 1, 3 do\n  total = total + i\nend\nprint('total', total)"


def test_a_breakpoint_stops_a_cell_and_shows_its_variables(open_notebook: Open) -> None:
    notebook = open_notebook(CODE)
    page = notebook.page
    page.locator(".jp-DebuggerBugButton").click()
    page.locator(".jp-DebuggerBugButton[aria-pressed='true'], .jp-DebuggerBugButton.lm-mod-toggled").first.wait_for()
    notebook.edit(0)
    notebook.cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement").nth(3).click()
    notebook.cell(0).locator(".cm-breakpoint-icon").first.wait_for()
    notebook.run(0)
    page.locator(".jp-DebuggerCallstack-body li").first.wait_for()
    variables = page.locator(".jp-DebuggerVariables-body")
    variables.get_by_text("total").first.wait_for()
    page.screenshot(path="/tmp/lab/debugger.png")
    page.locator("jp-button[title*='Continue'], button[title*='Continue']").first.click()

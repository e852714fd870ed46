"""JupyterLab's debugger on a Lua notebook: a breakpoint that is hit, variables that are read, going on."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.lab import switch_debugger_on

CODE = "local total = 0\nfor i = 1, 3 do\n  total = total + i\nend\nprint('total', total)"


def test_a_breakpoint_stops_a_cell_and_shows_its_variables(open_notebook: Open) -> None:
    notebook = open_notebook(CODE)
    page = notebook.page
    switch_debugger_on(page)
    notebook.edit(0)
    gutter = notebook.cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement")
    expect(gutter).to_have_count(6)  # the first one only gives the gutter its width
    gutter.nth(3).click()
    expect(notebook.cell(0).locator(".cm-breakpoint-icon")).to_have_count(2)
    expect(page.locator(".jp-DebuggerBreakpoints-body")).to_contain_text("3")
    notebook.run(0)
    expect(page.locator(".jp-DebuggerCallstack-body li")).to_have_count(1)
    variables = page.locator(".jp-DebuggerVariables-body:not(.lm-mod-hidden)")
    expect(variables).to_contain_text(re.compile(r"total\W*0\W*i\W*1"))
    assert notebook.kernel_status() == "busy"
    notebook.command("debugger:continue")
    expect(variables).to_contain_text(re.compile(r"total\W*1\W*i\W*2"))
    gutter.nth(3).click()
    expect(page.locator(".jp-DebuggerBreakpoints-body")).not_to_contain_text("3")
    notebook.command("debugger:continue")
    notebook.wait_for_text(0, "total\t6")

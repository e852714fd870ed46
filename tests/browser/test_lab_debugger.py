"""JupyterLab's debugger on a Lua notebook: a breakpoint that is hit, variables that are read, going on."""

from __future__ import annotations

import re

from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import Open

CODE = "local total = 0\nfor i = 1, 3 do\n  total = total + i\nend\nprint('total', total)"
WHILE_IT_STARTS_MS = 3_000


def switch_on(page: Page) -> None:
    """The button for the debugger; JupyterLab takes no click before it has heard what the kernel can."""
    button = page.locator(".jp-DebuggerBugButton")
    while True:
        button.click()
        try:
            page.locator(".jp-DebuggerBugButton[aria-pressed='true']").wait_for(timeout=WHILE_IT_STARTS_MS)
        except TimeoutError:
            continue
        return


def test_a_breakpoint_stops_a_cell_and_shows_its_variables(open_notebook: Open) -> None:
    notebook = open_notebook(CODE)
    page = notebook.page
    switch_on(page)
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

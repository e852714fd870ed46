"""Takes the documentation's pictures of JupyterLab again: `make pictures`. Needs Chromium and the small model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.lab import DEADLINE_MS, LabServer, Notebook, chromium, switch_debugger_on
from tests.support.models import smollm2

HERE = Path(__file__).parent
ANSWER = """agent = Agent.create { model = "smollm2", temperature = 0 }
answer = agent:invokeStream("What is the capital of France?", function(chunk) io.write(chunk.text) end)"""
ROWS = """return {
  { model = "smollm2", size = "98 MB", licence = "Apache-2.0" },
  { model = "qwen3", size = "2.5 GB", licence = "Apache-2.0" },
}"""
FAILS = "local total = 0\nfor i = 1, 3 do\n  total = total + i\nend\nprint('total', total)"


def main() -> None:
    """Writes `notebook.png` and `debugger.png` beside this file."""
    with tempfile.TemporaryDirectory(prefix="lab-") as name, sync_playwright() as playwright:
        directory = Path(name)
        server = LabServer(directory)
        try:
            model = directory / "smollm2.gguf"
            shutil.copyfile(smollm2(), model)
            server.command("model", "pull", model.as_uri())
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for take in (_notebook, _debugger):
                page = browser.new_page(viewport={"width": 1100, "height": 500})
                page.set_default_timeout(DEADLINE_MS)
                take(page, server)
                page.close()
            browser.close()
        finally:
            server.close()


def _notebook(page: Page, server: LabServer) -> None:
    notebook = Notebook(page, server, server.write("france.ipynb", ANSWER, ROWS))
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    page.screenshot(path=HERE / "notebook.png")


def _debugger(page: Page, server: LabServer) -> None:
    notebook = Notebook(page, server, server.write("total.ipynb", FAILS))
    notebook.command("application:toggle-left-area")
    switch_debugger_on(page)
    notebook.edit(0)
    notebook.cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement").nth(3).click()
    page.locator(".jp-DebuggerBreakpoints-body").get_by_text("3").first.wait_for()
    notebook.run(0)
    page.locator(".jp-DebuggerCallstack-body li").first.wait_for()
    notebook.command("debugger:continue")
    page.locator(".jp-DebuggerVariables-body:not(.lm-mod-hidden)").get_by_text("2").first.wait_for()
    page.screenshot(path=HERE / "debugger.png")


if __name__ == "__main__":
    main()

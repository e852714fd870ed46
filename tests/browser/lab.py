"""JupyterLab as a person has it: a server, Debian's Chromium, and a notebook whose cells are run by keys and menus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread

import nbformat
import psutil
from playwright.sync_api import Locator, Page, TimeoutError

from tests.support.jupyter import KERNEL_NAME, environment_of, llmspell

DEADLINE_MS = 60_000
_WHILE_IT_STARTS_MS = 3_000
TOKEN = "a-token-for-tests"
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab")


def chromium() -> str | None:
    """Where the browser is; None: it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class LabServer:
    """A running JupyterLab with a home, a folder of notebooks and the installed kernelspec of its own."""

    def __init__(self, directory: Path, *install: str) -> None:
        self.home = directory / "home"
        self.work = directory / "work"
        self.work.mkdir(parents=True)
        llmspell_home = self.home / ".llmspell"
        llmspell_home.mkdir(mode=0o700, parents=True)
        binaries = Path(sys.executable).parent
        self.environment = {
            **environment_of(llmspell_home),
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(self.home / "jupyter-config"),
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        }
        llmspell("jupyter", "install", "--user", *install, environment=self.environment)
        settings = directory / "settings"
        settings.mkdir()
        (settings / "overrides.json").write_text(json.dumps(_SETTINGS))
        self._process = subprocess.Popen(
            [
                str(binaries / "jupyter-lab"),
                "--no-browser",
                "--allow-root",
                "--port=0",
                f"--IdentityProvider.token={TOKEN}",
                f"--ServerApp.root_dir={self.work}",
                f"--LabServerApp.app_settings_dir={settings}",
                "--LabApp.expose_app_in_browser=True",
            ],
            env=self.environment,
            cwd=self.work,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""
        self.said: list[str] = []
        """The lines of the server's log so far."""
        listens = Event()
        self._reader = Thread(target=self._read_log, args=(listens,))
        self._reader.start()
        listens.wait(DEADLINE_MS / 1000)
        assert self.address, f"JupyterLab did not start: {''.join(self.said)}"

    def _read_log(self, listens: Event) -> None:
        """Keeps what the server says until its end; the line with its address tells that it listens."""
        assert self._process.stderr is not None
        with self._process.stderr as log:
            for line in log:
                self.said.append(line)
                if not self.address and (found := _ADDRESS.search(line)):
                    self.address = found[0].removesuffix("/lab")
                    listens.set()
        listens.set()

    def write(self, name: str, *cells: str, metadata: Mapping[str, object] | None = None) -> str:
        """A notebook with these cells; returns its name."""
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={
                "kernelspec": {"name": KERNEL_NAME, "display_name": KERNEL_NAME, "language": "lua"},
                **(metadata or {}),
            },
        )
        nbformat.write(book, self.work / name)
        return name

    def command(self, *words: str) -> str:
        """What a command of llmspell's prints in the same home."""
        return llmspell(*words, environment=self.environment)

    def kernels(self) -> list[psutil.Process]:
        """The processes that the server has started, theirs included."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def close(self) -> None:
        """Ends the server, what it has started, and the kernel that its notebooks shared."""
        started = self.kernels()
        self._process.terminate()
        self._process.wait(timeout=60)
        self._reader.join()
        psutil.wait_procs(started, timeout=60)
        stop = [str(Path(sys.executable).with_name("llmspell")), "kernel", "stop", "--all"]
        subprocess.run(stop, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, page: Page, server: LabServer, name: str) -> None:
        self.page = page
        page.goto(f"{server.address}/lab/tree/{name}?token={TOKEN}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=DEADLINE_MS)
        self.wait_idle()

    def command(self, command: str, arguments: Mapping[str, object] | None = None) -> None:
        """Carries out one of JupyterLab's commands, as its menus do; doesn't wait for its end."""
        self.page.evaluate(
            "([command, given]) => { void window.jupyterapp.commands.execute(command, given) }",
            [command, arguments or {}],
        )

    def cell(self, index: int) -> Locator:
        """The cell at this index."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def outputs(self, index: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def text(self, index: int) -> str:
        """What a cell's outputs show, as text."""
        return "\n".join(self.outputs(index).all_inner_texts())

    def edit(self, index: int) -> Locator:
        """Puts the cursor at the end of a cell's text."""
        editor = self.cell(index).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("Control+End")
        return editor

    def run(self, index: int) -> None:
        """Runs a cell with the keys for it; doesn't wait."""
        self.edit(index)
        self.page.keyboard.press("Control+Enter")

    def run_all(self) -> None:
        """Runs all cells and waits for the last one."""
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')]
                     .every(prompt => /\\[\\d+\\]/.test(prompt.textContent))""",
            timeout=DEADLINE_MS,
        )
        self.wait_idle()

    def wait_ran(self, index: int) -> None:
        """Waits until a cell has its number."""
        self.page.wait_for_function(
            """index => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-Cell')[index]
                 .querySelector('.jp-InputPrompt').textContent)""",
            arg=index,
            timeout=DEADLINE_MS,
        )

    def wait_for_text(self, index: int, text: str) -> None:
        """Waits until the outputs of a cell contain a text."""
        self.cell(index).locator(".jp-OutputArea-output", has_text=text).first.wait_for(timeout=DEADLINE_MS)

    def wait_idle(self) -> None:
        """Waits until the kernel is connected and idle."""
        self.page.wait_for_function(
            """() => { const shown = window.jupyterapp?.shell.currentWidget?.sessionContext;
                       return shown?.isReady && shown.session?.kernel?.connectionStatus === 'connected'
                              && shown.session.kernel.status === 'idle' }""",
            timeout=DEADLINE_MS,
        )

    def kernel_status(self) -> str:
        """What JupyterLab thinks the kernel does."""
        return str(
            self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status ?? 'none'")
        )


def switch_debugger_on(page: Page) -> None:
    """The button for the debugger; JupyterLab takes no click before it has heard what the kernel can."""
    button = page.locator(".jp-DebuggerBugButton")
    while True:
        button.click()
        try:
            page.locator(".jp-DebuggerBugButton[aria-pressed='true']").wait_for(timeout=_WHILE_IT_STARTS_MS)
        except TimeoutError:
            continue
        return

"""One JupyterLab and one browser for all tests here; a page of its own for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import DEADLINE_MS, LabServer, Notebook, chromium

Open = Callable[..., Notebook]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[LabServer]:
    """JupyterLab with the real small model installed."""
    directory = tmp_path_factory.mktemp("lab")
    running = LabServer(directory)
    try:
        file = directory / "smollm2.gguf"
        shutil.copyfile(smollm2_path, file)
        running.command("model", "pull", file.as_uri())
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = chromium()
    if program is None:
        pytest.fail("these tests drive Chromium; install it: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def open_notebook(server: LabServer, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a new notebook with these cells in a page of its own; its kernel ends with the test."""
    pages = []

    def opened(*cells: str) -> Notebook:
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(DEADLINE_MS)
        pages.append(page)
        name = f"{request.node.name[5:60].replace('[', '-').replace(']', '')}-{len(pages)}.ipynb"
        return Notebook(page, server, server.write(name, *cells))

    yield opened
    for page in pages:
        page.evaluate("() => window.jupyterapp.shell.currentWidget?.sessionContext.shutdown()")
        page.close()


@pytest.fixture(autouse=True)
def _nothing_stays_behind(browser: Browser, server: LabServer) -> Iterator[None]:
    """Fails a test after which a kernel runs that it began; processes of the browser come and go as it likes."""
    before = set(server.kernels())
    yield
    left = [process for process in server.kernels() if process not in before]
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive, f"the test left behind: {alive}"

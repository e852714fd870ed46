"""Other frontends on the kernelspec whose notebooks share a kernel: asyncio managers, nbclient, console, run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.ioloop.manager import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from llmspell_protocol.discovery import standing_kernels
from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Frontend, llmspell


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    """An installed kernelspec whose notebooks share a kernel that runs already."""
    frontend = Frontend(tmp_path_factory.mktemp("shared"), "--display-name", "Shared")
    llmspell("kernel", "start", "--daemon", "--id", "work", "--port", "0", environment=frontend.environment)
    yield frontend
    llmspell("kernel", "stop", "--all", environment=frontend.environment)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Frontend]:
    """The same where no kernel runs yet."""
    frontend = Frontend(tmp_path / "apart", "--display-name", "Apart")
    yield frontend
    if standing_kernels(frontend.home / "run"):
        llmspell("kernel", "stop", "--all", environment=frontend.environment)


def specs_of(frontend: Frontend) -> KernelSpecManager:
    """The kernelspecs of a frontend's prefix alone."""
    return KernelSpecManager(kernel_dirs=[str(frontend.data_directory / "kernels")])


def notebook_with(*cells: str) -> nbformat.NotebookNode:
    """A notebook of code cells."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": KERNEL_NAME, "display_name": "Shared", "language": "lua"}},
    )


def jupyter(frontend: Frontend, *words: str, stdin: str = "") -> str:
    """What `jupyter …` prints."""
    environment = {**frontend.environment, "JUPYTER_PATH": str(frontend.data_directory), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "jupyter", *words]
    done = subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nbclient_runs_notebooks_and_their_errors(shared: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(shared.data_directory))
    for name, value in shared.environment.items():
        monkeypatch.setenv(name, value)
    good = notebook_with("x = 6", "print('seen') return x * 7")
    NotebookClient(good, timeout=120, kernel_name=KERNEL_NAME).execute()
    assert good.cells[1].outputs[0].text == "seen\n"
    assert good.cells[1].outputs[1].data["text/plain"] == "42"
    bad = notebook_with("error('no')", "return tostring(x)")
    with pytest.raises(CellExecutionError, match="no"):
        NotebookClient(bad, timeout=120, kernel_name=KERNEL_NAME).execute()
    allowed = notebook_with("error('no')", "return tostring(x)")
    NotebookClient(allowed, timeout=120, kernel_name=KERNEL_NAME, allow_errors=True).execute()
    assert allowed.cells[1].outputs[0].data["text/plain"] == '"nil"'


def test_the_kernel_that_runs_is_used_whoever_started_it(shared: Frontend) -> None:
    assert [info.id for info in standing_kernels(shared.home / "run")] == ["work"]


def test_an_asyncio_manager_of_many_starts_restarts_and_ends_them(shared: Frontend) -> None:
    async def body() -> None:
        managers = AsyncMultiKernelManager(kernel_spec_manager=specs_of(shared))
        ids = [await managers.start_kernel(kernel_name=KERNEL_NAME, env=shared.environment) for _ in range(2)]
        clients = []
        for id in ids:
            client = managers.get_kernel(id).client()
            client.start_channels(hb=False)
            await client.wait_for_ready(timeout=DEADLINE_S)
            clients.append(client)
        for number, client in enumerate(clients):
            await client.execute_interactive(f"x = {number}", timeout=DEADLINE_S, allow_stdin=False)
        await managers.restart_kernel(ids[0])
        await clients[0].wait_for_ready(timeout=DEADLINE_S)
        values = []
        for client in clients:
            reply = await client.execute_interactive(
                "", user_expressions={"x": "tostring(x)"}, timeout=DEADLINE_S, allow_stdin=False
            )
            values.append(reply["content"]["user_expressions"]["x"]["data"]["text/plain"])
        assert values == ['"nil"', '"1"']
        for client in clients:
            client.stop_channels()
        await managers.shutdown_all()
        assert [await managers.get_kernel(id).is_alive() for id in managers.list_kernel_ids()] == []

    asyncio.run(body())
    assert [info.id for info in standing_kernels(shared.home / "run")] == ["work"]


def test_a_crash_of_the_kernel_is_seen_by_a_server_s_restarter_which_starts_another(apart: Frontend) -> None:
    async def body() -> None:
        manager = AsyncIOLoopKernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs_of(apart))
        manager.autorestart = True
        restarted = asyncio.Event()
        await manager.start_kernel(env=apart.environment)
        manager.add_restart_callback(restarted.set, "restart")
        try:
            client = manager.client()
            client.start_channels(hb=False)
            await client.wait_for_ready(timeout=DEADLINE_S)
            (crashing,) = standing_kernels(apart.home / "run")
            assert crashing.pid is not None
            os.kill(crashing.pid, signal.SIGKILL)
            await asyncio.wait_for(restarted.wait(), DEADLINE_S)
            await client.wait_for_ready(timeout=DEADLINE_S)
            reply = await client.execute_interactive("return 1", timeout=DEADLINE_S, allow_stdin=False)
            assert (reply["content"]["status"], reply["content"]["execution_count"]) == ("ok", 1)
            client.stop_channels()
        finally:
            await manager.shutdown_kernel()

    asyncio.run(body())
    (started,) = standing_kernels(apart.home / "run")
    assert started.id == "background"


def test_jupyter_run_runs_a_file(shared: Frontend, tmp_path: Path) -> None:
    script = tmp_path / "x.lua"
    script.write_text("print('from a file')")
    assert "from a file" in jupyter(shared, "run", "--kernel", KERNEL_NAME, str(script))


def test_jupyter_console_runs_cells_alone_and_beside_a_notebook(shared: Frontend, tmp_path: Path) -> None:
    words = ("--simple-prompt", "--ZMQTerminalInteractiveShell.banner=")
    shown = jupyter(shared, "console", "--kernel", KERNEL_NAME, *words, stdin="print('in the ' .. 'console')\n")
    assert "in the console" in shown
    with shared.kernel() as manager, shared.client(manager) as client:
        client.wait_for_ready(timeout=DEADLINE_S)
        client.execute_interactive("x = 'the notebook'", timeout=DEADLINE_S, allow_stdin=False)
        file = Path(manager.connection_file)
        assert json.loads(file.read_text())["kernel_name"] == KERNEL_NAME
        shown = jupyter(shared, "console", "--existing", str(file), *words, stdin="print('seen by ' .. x)\n")
        assert "seen by the notebook" in shown
        assert manager.is_alive()

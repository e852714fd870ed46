"""Frontends that are libraries: jupyter_client's managers of three kinds, and nbclient with all that it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_client.threaded import ThreadedKernelClient, ThreadedZMQSocketChannel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Frontend, Json

SIDE_BY_SIDE = 10


@pytest.fixture(autouse=True)
def _found(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernelspec and the home, where nbclient and managers without further words look for them."""
    monkeypatch.setenv("JUPYTER_PATH", str(frontend.data_directory))
    monkeypatch.setenv("LLMSPELL_HOME", str(frontend.home))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(frontend.home / "jupyter-runtime"))


def notebook(*cells: str | tuple[str, list[str]]) -> nbformat.NotebookNode:
    """A notebook of these cells; a pair is code and its tags."""
    made = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    for cell in cells:
        code, tags = (cell, []) if isinstance(cell, str) else cell
        made.cells.append(nbformat.v4.new_code_cell(code, metadata={"tags": tags}))  # type: ignore[no-untyped-call]
    return made


def executed(made: nbformat.NotebookNode, **how: Any) -> nbformat.NotebookNode:
    """The notebook, run by nbclient."""
    NotebookClient(made, kernel_name=KERNEL_NAME, **{"timeout": DEADLINE_S, **how}).execute()
    return made


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell's outputs say, in order."""
    return [str(one.get("text") or one.get("evalue") or one.get("data", {}).get("text/plain")) for one in cell.outputs]


def test_the_blocking_client_runs_a_cell_interactively(frontend: Frontend) -> None:
    with frontend.kernel() as manager, frontend.client(manager) as client:
        assert isinstance(client, BlockingKernelClient)
        client.wait_for_ready(timeout=DEADLINE_S)
        lines: list[str] = []
        reply = client.execute_interactive(
            "print('out') return input('name? ')",
            timeout=DEADLINE_S,
            output_hook=lambda message: lines.append(message["msg_type"]),
            stdin_hook=lambda message: client.input("Ada"),
        )
        assert reply["content"]["status"] == "ok"
        assert [kind for kind in lines if kind != "status"] == ["execute_input", "stream", "execute_result"]


def test_the_asyncio_manager_starts_asks_interrupts_restarts_and_ends(frontend: Frontend) -> None:
    async def body() -> None:
        specs = KernelSpecManager(kernel_dirs=[str(frontend.data_directory / "kernels")])
        manager = AsyncKernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs)
        await manager.start_kernel(env=frontend.environment, cwd=str(frontend.home))
        client = manager.client()
        client.start_channels(hb=False)
        try:
            await client.wait_for_ready(timeout=DEADLINE_S)
            msg_id = client.execute("print('on') while true do end")
            while (await client.get_iopub_msg(timeout=DEADLINE_S))["msg_type"] != "stream":
                pass
            await manager.interrupt_kernel()
            # What was asked to see whether it is ready is answered first.
            while (reply := await client.get_shell_msg(timeout=DEADLINE_S))["parent_header"].get("msg_id") != msg_id:
                pass
            assert reply["content"]["status"] == "error"
            await manager.restart_kernel(now=False)
            await client.wait_for_ready(timeout=DEADLINE_S)
            msg_id = client.execute("return 1")
            while (await client.get_shell_msg(timeout=DEADLINE_S))["parent_header"].get("msg_id") != msg_id:
                pass
        finally:
            client.stop_channels()
            await manager.shutdown_kernel()
        assert not await manager.is_alive()

    asyncio.run(body())


class Told(ThreadedZMQSocketChannel):
    """A channel that hands what comes to whoever waits for it."""

    messages: Any = None

    def call_handlers(self, msg: Json) -> None:
        """Called on the client's thread."""
        self.messages.put(msg)


def test_the_threaded_client_hears_everything_on_its_thread(frontend: Frontend) -> None:
    from queue import SimpleQueue

    shell: SimpleQueue[Json] = SimpleQueue()
    iopub: SimpleQueue[Json] = SimpleQueue()

    class Shell(Told):
        messages = shell

    class IoPub(Told):
        messages = iopub

    class Threaded(ThreadedKernelClient):
        shell_channel_class = Shell
        iopub_channel_class = IoPub

    with frontend.kernel() as manager:
        client = Threaded()
        client.load_connection_info(manager.get_connection_info())
        client.start_channels(stdin=False, hb=False, control=False)
        try:
            while iopub.get(timeout=DEADLINE_S)["msg_type"] != "iopub_welcome":
                pass
            msg_id = client.execute("return 6 * 7")
            while (reply := shell.get(timeout=DEADLINE_S))["parent_header"].get("msg_id") != msg_id:
                pass
            assert reply["content"]["status"] == "ok"
            kinds: list[str] = []
            while not kinds or kinds[-1] != "idle":
                message = iopub.get(timeout=DEADLINE_S)
                if message["parent_header"].get("msg_id") == msg_id:
                    kinds.append(message["content"].get("execution_state", message["msg_type"]))
            assert kinds == ["busy", "execute_input", "execute_result", "idle"]
        finally:
            client.stop_channels()
            client.ioloop_thread.stop()


def test_an_error_ends_a_notebook_with_its_line() -> None:
    made = notebook("1", "local x = 1\nerror('broken')", "3")
    with pytest.raises(CellExecutionError, match=r"In\[2\]:2: broken"):
        executed(made)
    assert (shown(made.cells[0]), made.cells[2].outputs) == (["1"], [])


def test_errors_that_are_allowed_are_outputs_and_the_rest_runs() -> None:
    made = executed(notebook("print('a') error('broken')", "2"), allow_errors=True)
    assert made.cells[0].outputs[0].text == "a\n"
    assert made.cells[0].outputs[1].output_type == "error"
    assert shown(made.cells[1]) == ["2"]


def test_tags_say_which_cell_may_fail_and_which_is_left_out() -> None:
    made = executed(notebook(("error('expected')", ["raises-exception"]), ("error('no')", ["skip-execution"]), "3"))
    assert made.cells[0].outputs[0].output_type == "error"
    assert made.cells[1].outputs == []
    assert shown(made.cells[2]) == ["3"]


def test_a_cell_that_takes_too_long_is_interrupted_and_the_rest_runs() -> None:
    made = notebook("kept = 1 while true do end", "kept")
    executed(
        made,
        timeout=None,
        timeout_func=lambda cell: 1 if "while" in cell.source else int(DEADLINE_S),
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    assert made.cells[0].outputs[0].output_type == "error"
    assert shown(made.cells[1]) == ["1"]
    with pytest.raises(CellTimeoutError):
        executed(notebook("while true do end"), timeout=1)


def test_ten_kernels_side_by_side_run_a_notebook_each() -> None:
    async def body() -> list[nbformat.NotebookNode]:
        made = [notebook(f"number = {number}", "print(number)", "number * 2") for number in range(SIDE_BY_SIDE)]
        clients = [NotebookClient(one, kernel_name=KERNEL_NAME, timeout=DEADLINE_S) for one in made]
        await asyncio.gather(*(client.async_execute() for client in clients))
        return made

    for number, one in enumerate(asyncio.run(body())):
        assert [shown(cell) for cell in one.cells] == [[], [f"{number}\n"], [str(2 * number)]]


@pytest.fixture
def kernel(frontend: Frontend) -> Iterator[KernelManager]:
    with frontend.kernel() as running:
        yield running


def test_a_history_is_there_for_the_next_kernel_and_for_one_beside_it(
    frontend: Frontend, kernel: KernelManager
) -> None:
    from tests.support.jupyter import ask, run_cell

    wanted = {"hist_access_type": "search", "pattern": "history_of_*", "output": False, "raw": True}
    with frontend.client(kernel) as client:
        client.wait_for_ready(timeout=DEADLINE_S)
        run_cell(client, "history_of_one = 1")
        run_cell(client, "history_of_two = 2")
        mine = ask(client, "shell", "history_request", wanted)["history"]
        assert [code for _, _, code in mine] == ["history_of_one = 1", "history_of_two = 2"]
        with frontend.kernel() as other, frontend.client(other) as beside:
            beside.wait_for_ready(timeout=DEADLINE_S)
            assert ask(beside, "shell", "history_request", wanted)["history"] == mine
            run_cell(beside, "history_of_three = 3")
        (last,) = ask(client, "shell", "history_request", {"hist_access_type": "tail", "n": 1})["history"]
        assert last[2] == "history_of_three = 3"
        assert last[0] != mine[0][0], "a kernel's cells are a session of their own"

"""`from llmspell import connect`: what a program asks a real kernel, in one thread and with asyncio."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import llmspell
from llmspell import Answer, Kernel, connect, connect_async
from llmspell.progress import Step
from llmspell_protocol.areas.model import PullStep
from llmspell_protocol.errors import (
    Forbidden,
    InvalidRequest,
    KernelUnreachable,
    ModelNotFound,
    NotFound,
    ScriptError,
    Timeout,
    ToolNotFound,
)
from llmspell_protocol.models import LocalModel
from tests.support.kernels import KernelProcess

pytestmark = pytest.mark.usefixtures("at_home")


def _both(question: Any) -> list[Any]:
    """What `question(kernel)` gives of either client: a call's value, or an awaited one."""

    async def asked() -> Any:
        async with await connect_async("shared") as kernel:
            found = question(kernel)
            return await found if inspect.isawaitable(found) else found

    with connect("shared") as kernel:
        return [question(kernel), asyncio.run(asked())]


def test_a_chat_is_answered_as_text_and_with_its_figures() -> None:
    for answer in _both(lambda kernel: kernel.chat("hello you", model="mock/a")):
        assert isinstance(answer, Answer)
        assert (answer.text, str(answer)) == ("[mock/a] hello you", "[mock/a] hello you")
        assert (answer.finish_reason, answer.model, answer.usage.prompt_tokens) == ("stop", "mock/a", 2)
        assert answer._repr_markdown_() == answer.text


def test_messages_options_and_a_system_prompt_are_passed_on() -> None:
    talk = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
    ]
    for answer in _both(
        lambda kernel: kernel.chat(talk, model="mock/a", max_tokens=1, temperature=0, system="Be brief.")
    ):
        assert (answer.finish_reason, answer.truncated) == ("length", True)


def test_an_answer_to_a_schema_is_data() -> None:
    for answer in _both(lambda kernel: kernel.chat("who?", model="mock/a", schema="name, age int")):
        assert set(answer.data) == {"name", "age"}


def test_generate_answers_one_text() -> None:
    for answer in _both(lambda kernel: kernel.generate("go on", model="mock/a")):
        assert answer.text == "[mock/a] go on"


def test_a_stream_is_text_piece_by_piece_and_then_the_answer() -> None:
    with connect("shared") as kernel:
        reply = kernel.stream("one two three", model="mock/a")
        pieces = list(reply)
        assert len(pieces) > 2
        assert "".join(pieces) == reply.text == reply.result().text == "[mock/a] one two three"
        again = kernel.chat("one two three", model="mock/a", stream=True)
        assert "".join(again) == reply.text


def test_a_stream_under_asyncio_is_iterated_the_same_way() -> None:
    async def run() -> None:
        async with await connect_async("shared") as kernel:
            reply = kernel.stream("one two", model="mock/a")
            assert "".join([piece async for piece in reply]) == "[mock/a] one two"
            assert (await reply.result()).text == reply.text
            several = await asyncio.gather(*(kernel.chat(str(n), model="mock/a") for n in range(5)))
            assert [one.text for one in several] == [f"[mock/a] {n}" for n in range(5)]

    asyncio.run(run())


def test_the_synchronous_client_works_inside_a_running_loop() -> None:
    async def cell() -> str:
        with connect("shared") as kernel:
            return kernel.chat("within", model="mock/a").text

    assert asyncio.run(cell()) == "[mock/a] within"


def test_vectors_are_lists_and_a_matrix_for_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    for vectors in _both(lambda kernel: kernel.embed(["one", "two", "one"], model="mock/a")):
        assert len(vectors) == 3
        assert vectors[0] == vectors[2] != vectors[1]
        assert len(vectors[-1]) == vectors.dimensions
        assert [len(row) for row in vectors] == [vectors.dimensions] * 3
        matrix = numpy.asarray(vectors)
        assert (matrix.shape, str(matrix.dtype)) == ((3, vectors.dimensions), "float32")
        assert numpy.allclose(matrix[1], vectors[1])
        with pytest.raises(IndexError):
            vectors[3]


class Recorder:
    """A display that keeps what it is shown."""

    made: list[Recorder]

    def __init__(self, about: str) -> None:
        self.about = about
        self.steps: list[Step] = []
        self.is_closed = False
        type(self).made.append(self)

    def show(self, step: Step) -> None:
        self.steps.append(step)

    def close(self) -> None:
        self.is_closed = True


def test_a_model_is_pulled_with_progress_listed_loaded_and_unloaded(at_home: Path) -> None:
    Recorder.made = []
    with connect("shared", progress=Recorder) as kernel:
        pulled = kernel.models.pull(f"file://{at_home}/tiny.gguf")
        (display,) = Recorder.made
        assert display.is_closed
        assert isinstance(display.steps[0], PullStep)
        assert pulled.files[0].size_bytes > 0
        assert [(type(one), one.id) for one in kernel.models.list("candle")] == [(LocalModel, pulled.model_id)]
        assert kernel.models.info(pulled.model_id).format == "gguf"
        assert kernel.models.load("mock/a").model == "mock/a"
        assert "mock/a" in [one.model for one in kernel.models.ps().models]
        assert [one.model for one in kernel.models.unload("mock/a")] == ["mock/a"]


def test_models_are_the_same_for_asyncio() -> None:
    async def run() -> None:
        async with await connect_async("shared") as kernel:
            assert (await kernel.models.load("mock/b")).backend == "mock"
            assert [one.model for one in await kernel.models.unload("mock/b")] == ["mock/b"]
            assert (await kernel.models.ps()).budget_bytes > 0

    asyncio.run(run())


def test_an_agent_remembers_calls_tools_and_ends() -> None:
    with connect("shared") as kernel:
        agent = kernel.agents.create(model="mock/a", name="helper", system="Be brief.", tools=["calculator"])
        answer = agent.execute('call calculator {"input": "2 + 3"}')
        assert [(call.name, call.success) for call in answer.tool_calls] == [("calculator", True)]
        assert "5" in answer.text
        assert "".join(agent.stream("and now?", max_tokens=50)) == "[mock/a] and now?"
        assert [one.name for one in kernel.agents.list()] == ["helper"]
        assert [turn["role"] for turn in agent.info().history][:2] == ["user", "assistant"]
        assert agent.reset() > 3
        agent.delete()
        assert kernel.agents.list() == ()


def test_agents_and_tools_are_the_same_for_asyncio() -> None:
    async def run() -> None:
        async with await connect_async("shared") as kernel:
            agent = await kernel.agents.create(model="mock/a")
            assert (await agent.execute("hello")).text == "[mock/a] hello"
            assert [piece async for piece in agent.stream("hello", remember=False)]
            await agent.delete()
            assert (await kernel.tools.invoke("calculator", {"input": "2 * 21"})).output == 42

    asyncio.run(run())


def test_tools_are_listed_described_and_called() -> None:
    with connect("shared") as kernel:
        assert "calculator" in [tool.name for tool in kernel.tools.list("utility")]
        assert "input" in kernel.tools.info("calculator").parameters["properties"]
        assert kernel.tools.invoke("calculator", {"input": "2 + 3"}).output == 5
        failed = kernel.tools.invoke("calculator", {"input": "1 / 0"})
        assert failed.success is False
        assert failed.error is not None
        assert "zero" in failed.error.message
        with pytest.raises(ToolNotFound):
            kernel.tools.invoke("nosuch")
        with pytest.raises(Forbidden):
            kernel.tools.invoke("file-operations", {"operation": "read", "path": "/etc/hostname"})


def test_a_script_gives_its_value_what_it_printed_and_tells_while_it_runs() -> None:
    told: list[tuple[str, str]] = []
    code = "print('a', ARGS.name) io.stderr:write('b') return {n = #arg}"
    with connect("shared") as kernel:
        done = kernel.run_script(
            code, args=["--name", "world"], on_output=lambda stream, text: told.append((stream, text))
        )
    assert (done.result, done.output, done.errors, done.exit_code) == ({"n": 2}, "a\tworld\n", "b", 0)
    assert sorted(told) == [("stderr", "b"), ("stdout", "a\tworld\n")]


def test_a_script_whose_value_has_no_form_as_data_says_so_with_what_it_printed() -> None:
    with connect("shared") as kernel, pytest.raises(ScriptError, match="no form as data") as failed:
        kernel.run_script(r"print('a') return '\xe9'")
    assert failed.value.details["output"] == "a\n"


def test_a_script_of_a_file_reads_input_and_may_touch_what_it_is_allowed(at_home: Path) -> None:
    (at_home / "script.lua").write_text("local line = io.read()\nassert(io.open('out.txt', 'w')):write(line or '-')")
    with connect("shared") as kernel:
        with pytest.raises(ScriptError, match=r"out\.txt") as failed:
            kernel.run_script(at_home / "script.lua")
        assert failed.value.details["line"] == 2
        kernel.run_script(Path("script.lua"), allow={"write": ["out.txt"]}, on_input=lambda prompt, password: "typed")
        assert (at_home / "out.txt").read_text() == "typed"
        with pytest.raises(NotFound, match=r"can't read the script nosuch\.lua"):
            kernel.run_script(Path("nosuch.lua"))


def test_cells_share_variables_and_show_what_a_notebook_would() -> None:
    with connect("shared") as kernel:
        kernel.run_cell("kept = 20")
        done = kernel.run_cell("print('seen') return kept + 1")
        assert (done.result, done.result_repr) == (21, "21")
        assert [one.msg_type for one in done.outputs] == ["execute_input", "stream", "execute_result"]

    async def run() -> Any:
        async with await connect_async("shared") as other:
            return (await other.run_cell("return kept")).result

    assert asyncio.run(run()) == 20


def test_errors_are_the_protocols_own() -> None:
    with connect("shared") as kernel:
        with pytest.raises(ModelNotFound) as missing:
            kernel.chat("hi", model="nosuch@candle")
        assert missing.value.__notes__ == [f"hint: {missing.value.hint}"]
        with pytest.raises(ModelNotFound):
            list(kernel.stream("hi", model="nosuch@candle"))
        with pytest.raises(TypeError, match="there is no argument 'temprature'; did you mean 'temperature'"):
            kernel.chat("hi", model="mock/a", temprature=1)  # type: ignore[call-arg]
        with pytest.raises(InvalidRequest, match="temperature"):
            kernel.chat("hi", model="mock/a", temperature=9)
        with pytest.raises(Timeout):
            kernel.run_script("while true do end", timeout_s=0.2)
        assert kernel.chat("still there", model="mock/a").text


def test_a_kernel_is_found_by_itself_by_variable_and_by_connection(
    shared_kernel: KernelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as kernel:
        assert kernel.id == "shared"
        assert repr(kernel).startswith("<Kernel shared at 127.0.0.1:")
        assert kernel.status().id == "shared"
    assert repr(kernel).endswith(", closed>")
    with connect(shared_kernel.info) as kernel:
        assert kernel.is_connected
    monkeypatch.setenv("LLMSPELL_CONNECT", "nosuch")
    with pytest.raises(NotFound, match="there is no kernel 'nosuch'"):
        connect()


def test_where_none_runs_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_HOME", str(tmp_path / "empty"))
    with pytest.raises(KernelUnreachable) as none:
        connect()
    assert none.value.hint is not None
    assert "llmspell kernel start --daemon" in none.value.hint
    assert "connect('embedded')" in none.value.__notes__[0]
    with pytest.raises(KernelUnreachable):
        asyncio.run(connect_async())


def test_a_kernel_of_ones_own_ends_with_its_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_HOME", str(tmp_path / "own"))
    (tmp_path / "own").mkdir(mode=0o700)
    before = set(threading.enumerate())
    with connect("embedded") as kernel:
        assert kernel.chat("alone", model="mock/a").text == "[mock/a] alone"
        assert kernel.run_script("return 6 * 7").result == 42
    assert set(threading.enumerate()) <= before

    async def run() -> str:
        async with await connect_async("embedded") as other:
            return (await other.chat("alone", model="mock/a")).text

    assert asyncio.run(run()) == "[mock/a] alone"


def test_ctrl_c_ends_a_script_at_the_kernel_and_leaves_the_connection() -> None:
    def interrupt(stream: str, text: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with connect("shared") as kernel:
        with pytest.raises(KeyboardInterrupt):
            kernel.run_script("print('running') while true do end", on_output=interrupt)
        _nothing_runs(kernel)


def test_a_task_that_is_cancelled_ends_its_script_at_the_kernel() -> None:
    async def run() -> None:
        async with await connect_async("shared") as kernel:
            running = asyncio.Event()
            script = asyncio.create_task(
                kernel.run_script("print('running') while true do end", on_output=lambda *_: running.set())
            )
            await running.wait()
            script.cancel()
            with pytest.raises(asyncio.CancelledError):
                await script
        with connect("shared") as other:
            _nothing_runs(other)

    asyncio.run(run())


def _nothing_runs(kernel: Kernel) -> None:
    """The kernel has ended every script; fails by the test's time limit where it hasn't."""
    while kernel.status().active_requests > 1:  # this question itself
        kernel.run_script("return 1")
    assert kernel.run_script("return 42").result == 42


def test_requests_are_recorded_where_a_session_is_named() -> None:
    with connect("shared", session="notes") as kernel:
        kernel.chat("remember me", model="mock/a")
        found = kernel._client.request("session_request", {"action": "list"}).result().content["sessions"]
    assert "notes" in [one["name"] for one in found]


def test_every_public_name_has_a_text_and_both_clients_have_the_same_form() -> None:
    for name in llmspell.__all__:
        if not name.startswith("__") and inspect.isclass(getattr(llmspell, name)):
            assert inspect.getdoc(getattr(llmspell, name)), name
    for one, other in ((llmspell.Kernel, llmspell.AsyncKernel), (llmspell.Agent, llmspell.AsyncAgent)):
        public = [name for name in vars(one) if not name.startswith("_")]
        assert public == [name for name in vars(other) if not name.startswith("_")]
        for name in public:
            assert inspect.getdoc(inspect.getattr_static(one, name)), f"{one.__name__}.{name}"


def test_what_connects_imports_nothing_of_the_kernel_and_nothing_heavy() -> None:
    code = "import sys, llmspell; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert "llmspell_protocol" in found
    assert not found & {"llmspell_kernel", "llmspell_profiles", "llmspell_cli", "pydantic", "tqdm", "IPython", "numpy"}

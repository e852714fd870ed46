"""llama-server as the worker's engine: what it is loaded with, who can reach it, and that it ends with its worker.

Behind the binary's flags is llama.cpp's real HTTP server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.errors import LlmspellError, WorkerCrashed
from llmspell_protocol.exit_status import signal_name
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions
from llmspell_providers.candle.http_socket import SocketClient
from llmspell_providers.candle.process import ModelProcess
from llmspell_providers.candle.server_binary import NEEDED
from llmspell_providers.candle.server_process import guard
from llmspell_providers.candle.socket_directory import remove_stale_directories
from tests.support.children import running_children
from tests.support.kernels import KernelProcess
from tests.support.llama_server import launcher, stand_in
from tests.support.llama_server_launch import command_of, launch
from tests.support.turns import until

pytestmark = pytest.mark.slow
DEADLINE_S = 60.0
CRASH_DEADLINE_S = 60.0


async def loaded(path: Path, tmp_path: Path, **changes: Any) -> ModelProcess:
    """A worker whose server has loaded the model."""
    return await ModelProcess.start(launch(path, tmp_path, launcher(tmp_path), **changes), on_exit=lambda: None)


def servers_of(process: ModelProcess) -> list[psutil.Process]:
    """What runs beside the worker."""
    return [psutil.Process(pid) for pid in process.loaded.engine_pids]


def gone(process: psutil.Process) -> bool:
    """Whether it has ended, reaped or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def story(max_tokens: int = 900) -> ChatRequest:
    """A request that takes a while."""
    message = ChatMessage(role="user", content="Tell me a long story.")
    options = SamplingOptions(temperature=0.7, max_tokens=max_tokens, seed=1)
    return ChatRequest(model="smollm2:135m", messages=[message], options=options)


async def result_of(process: ModelProcess, request: ChatRequest) -> ChatResult:
    async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(request)) as stream:
        [result] = [chunk.result async for chunk in stream if chunk.result is not None]
    return result


async def failure_after(process: ModelProcess, happens: Any) -> LlmspellError:
    """How a reply fails when something happens after its first text."""
    is_running = False
    try:
        async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(story())) as stream:
            async for chunk in stream:
                if chunk.text and not is_running:
                    is_running = True
                    happens()
    except LlmspellError as error:
        assert is_running
        return error
    raise AssertionError("the reply came to its end")


def test_a_loaded_model_says_what_it_is_and_counts_the_servers_memory(smollm2_path: Path, tmp_path: Path) -> None:
    size_bytes = smollm2_path.stat().st_size

    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        state = process.loaded
        assert (state.engine, state.engine_version, state.device, state.slots) == ("llama-server", "b11549", "cpu", 2)
        assert (state.context_size, state.tools, list(state.lacks), list(state.warnings)) == (1024, False, [], [])
        assert state.memory_bytes > size_bytes
        assert (await process.stats())["memory_bytes"] > size_bytes
        assert (await result_of(process, story(2))).usage.completion_tokens == 2
        assert (tmp_path / "worker.log").read_bytes() == b"", "it writes about every request"
        assert process.pids == (process.pid, *(server.pid for server in servers_of(process)))
        await process.end()

    asyncio.run(run())


def test_the_server_is_started_as_the_launch_says_and_does_nothing_by_itself(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def command(server: Path) -> list[str]:
        asked = launch(smollm2_path, tmp_path, server, prompt_cache_bytes=64 << 20, batch_size=128, threads=1)
        process = await ModelProcess.start(asked, on_exit=lambda: None)
        [running] = servers_of(process)
        words = running.cmdline()
        await process.end()
        return words

    def value(flag: str) -> str:
        return words[words.index(flag) + 1]

    words = asyncio.run(command(launcher(tmp_path)))
    assert (value("--parallel"), value("--ctx-size"), value("--cache-ram")) == ("2", "2048", "64")
    assert (value("--batch-size"), value("--ubatch-size"), value("--threads")) == ("128", "128", "1")
    assert (value("--device"), value("--n-gpu-layers"), value("--fit")) == ("none", "0", "off")
    unasked = {"--no-webui", "--no-context-shift", "--no-kv-unified", "--slots", "--offline", "--log-verbosity"}
    assert unasked <= {*words}
    # A build that does not know a flag does what the flag says anyway, and would refuse it.
    flags = "\n".join(f"{flag} N" for flag in sorted(NEEDED))
    words = asyncio.run(command(stand_in(tmp_path, f"[ \"$1\" = --help ] && {{ echo '{flags}'; exit; }}")))
    assert unasked & {*words} == {"--no-webui"}


def test_the_server_can_be_reached_by_no_other_process(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        [server] = servers_of(process)
        command = server.cmdline()
        connections = server.net_connections(kind="all")
        assert [one for one in connections if one.status == psutil.CONN_LISTEN] == [], "it listens on the network"
        address = Path(command[command.index("--host") + 1])
        assert [one.laddr for one in connections if one.laddr] == [str(address)]
        assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
        assert list(address.parent.iterdir()) == [address], "the key lies about"
        assert "--api-key" not in command
        assert SocketClient(address, "another key").status("/slots") == 401
        await process.end()
        assert not address.parent.exists()

    asyncio.run(run())


def test_a_worker_that_ends_in_order_has_ended_its_server(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        [server] = servers_of(process)
        await process.end()
        assert gone(server)

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_takes_its_server_along(number: int, smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        [server] = servers_of(process)
        assert isinstance(await failure_after(process, lambda: os.kill(process.pid, number)), WorkerCrashed)
        await until(lambda: gone(server), deadline_s=CRASH_DEADLINE_S)

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, 40])
def test_a_server_that_is_killed_is_a_crash_of_its_worker_and_told_to_each_request(
    number: int, smollm2_path: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        [server] = servers_of(process)
        other = asyncio.create_task(result_of(process, story()))
        error = await failure_after(process, lambda: server.send_signal(number))
        assert isinstance(error, WorkerCrashed)
        assert (error.details["signal"], error.retryable) == (signal_name(number), True)
        with pytest.raises(WorkerCrashed):
            await other
        await until(lambda: not psutil.pid_exists(process.pid), deadline_s=CRASH_DEADLINE_S)

    asyncio.run(run())


def test_a_server_that_is_killed_between_requests_ends_its_worker(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        ended = asyncio.Event()
        process = await ModelProcess.start(launch(smollm2_path, tmp_path, launcher(tmp_path)), on_exit=ended.set)
        servers_of(process)[0].kill()
        async with asyncio.timeout(CRASH_DEADLINE_S):
            await ended.wait()

    asyncio.run(run())


def test_an_illegal_instruction_of_the_server_is_told_as_an_engine_for_another_cpu(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path)
        [server] = servers_of(process)
        error = await failure_after(process, lambda: server.send_signal(signal.SIGILL))
        assert "llama-server was built for another CPU" in error.message
        assert (error.hint, error.retryable) == (
            'set providers.candle.engine = "xllamacpp", the default engine',
            False,
        )

    asyncio.run(run())


def test_a_kernel_that_is_killed_takes_worker_and_server_along_and_finds_the_server_on_path(
    smollm2_path: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    launcher(programs)
    environment = {
        "LLMSPELL_HOME": str(tmp_path),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "LLMSPELL_PROVIDERS__CANDLE__ENGINE": "llama-server",
        "LLMSPELL_PROVIDERS__CANDLE__CONTEXT_SIZE": "512",
    }
    kernel = KernelProcess(env=environment, cwd=tmp_path)
    try:
        with kernel.client() as client:
            pulled = client.request("model_request", {"action": "pull", "model": f"file://{smollm2_path}@candle"})
            model = pulled.result().content["model_id"]
            client.request("model_request", {"action": "load", "model": f"{model}@candle"}).result()
            status = client.request("model_request", {"action": "status"}).result().content
            [shown] = client.request("model_request", {"action": "ps"}).result().content["models"]
        assert "llama-server" in str(status)
        assert shown["engine"] == "llama-server"
        assert shown["memory_bytes"] > smollm2_path.stat().st_size
        below = psutil.Process(kernel.pid).children(recursive=True)
        assert any("tests.support.llama_server" in process.cmdline() for process in below)
        kernel.signal(signal.SIGKILL)
        kernel.wait()
        _, alive = psutil.wait_procs(below, timeout=DEADLINE_S)
        assert [process for process in alive if not gone(process)] == []
        remove_stale_directories()  # as the next kernel does
    finally:
        kernel.stop()


def test_a_load_that_is_cancelled_leaves_no_server(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        loading = asyncio.create_task(loaded(smollm2_path, tmp_path))
        await until(lambda: any("--host" in command_of(one) for one in running_children(recursive=True)))
        below = running_children(recursive=True)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        await until(lambda: all(gone(one) for one in below), deadline_s=CRASH_DEADLINE_S)

    asyncio.run(run())


def test_a_stream_that_is_closed_frees_its_slot(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        process = await loaded(smollm2_path, tmp_path, slots=1)
        async with aclosing(process.chat(story())) as stream:
            async for chunk in stream:
                if chunk.text:
                    break
        async with asyncio.timeout(CRASH_DEADLINE_S):
            # Each look is a round trip to the server, so nothing spins.
            while (await process.stats())["busy_slots"]:
                pass
        assert (await result_of(process, story(2))).finish_reason == "length"
        await process.end()

    asyncio.run(run())


def test_a_process_is_killed_by_its_guard_when_the_guards_owner_ends() -> None:
    # What stands for the death signal on systems without one.
    with subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"]) as kept:
        guarding = guard(kept.pid)
        assert guarding.poll() is None
        assert guarding.stdin is not None
        guarding.stdin.close()
        assert kept.wait(DEADLINE_S) == -signal.SIGKILL
        guarding.wait(DEADLINE_S)


def test_a_build_without_a_number_is_judged_by_its_flags(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        server = stand_in(tmp_path, '[ "$1" = --version ] && { echo "version: 0 (unknown)"; exit; }')
        process = await ModelProcess.start(launch(smollm2_path, tmp_path, server), on_exit=lambda: None)
        assert process.loaded.engine_version == "unknown"
        await process.end()

    asyncio.run(run())

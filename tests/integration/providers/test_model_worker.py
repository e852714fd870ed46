"""One model worker as the kernel sees it: loading, faults, crashes, cancelling, and nothing left behind."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import ConfigError, LlmspellError, ModelLoadFailed, WorkerCrashed
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions
from llmspell_providers.candle.process import Launch, ModelProcess
from llmspell_providers.candle.socket_directory import SocketDirectory, remove_stale_directories
from tests.support.children import running_children
from tests.support.turns import until

DEADLINE_S = 60.0
CANCEL_DEADLINE_S = 8.0
"""Less than what the replies take that are cancelled."""


def launch(path: Path, tmp_path: Path, **changes: object) -> Launch:
    """SmolLM2 as small as it goes."""
    fields: dict[str, object] = {
        "engine": "xllamacpp",
        "path": path,
        "model": "smollm2:135m",
        "context_size": 1024,
        "log_path": tmp_path / "worker.log",
        **changes,
    }
    return Launch(**fields)  # type: ignore[arg-type]


@asynccontextmanager
async def loaded(path: Path, tmp_path: Path, **changes: object) -> AsyncIterator[ModelProcess]:
    """A loaded worker, ended at the end."""
    process = await ModelProcess.start(launch(path, tmp_path, **changes), on_exit=lambda: None)
    try:
        yield process
    finally:
        await process.end()


def story(text: str = "Tell me a long story.", max_tokens: int = 900) -> ChatRequest:
    """A request that takes a while."""
    return ChatRequest(
        model="smollm2:135m",
        messages=[ChatMessage(role="user", content=text)],
        options=SamplingOptions(temperature=0.7, max_tokens=max_tokens, seed=1),
    )


async def result_of(process: ModelProcess, request: ChatRequest) -> ChatResult:
    """The end of a reply."""
    async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(request)) as stream:
        results = [chunk.result async for chunk in stream if chunk.result is not None]
    return results[0]


async def text_came(process: ModelProcess, started: asyncio.Event) -> LlmspellError:
    """Reads a long reply until it fails, telling when its first text has come; the error."""
    try:
        async with aclosing(process.chat(story())) as stream:
            async for chunk in stream:
                if chunk.text:
                    started.set()
    except LlmspellError as error:
        return error
    raise AssertionError("the reply came to its end")


@pytest.mark.slow
def test_a_loaded_model_says_what_it_is(smollm2_path: Path, tmp_path: Path) -> None:
    size_bytes = smollm2_path.stat().st_size

    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, slots=2, stream_window_ms=5) as process:
            state = process.loaded
            assert (state.engine, state.device, state.slots) == ("xllamacpp", "cpu", 2)
            assert (state.context_size, state.stream_window_ms) == (1024, 5)
            assert (state.chat_template, state.tools, state.warnings) == (True, False, [])
            assert state.memory_bytes > size_bytes
            assert state.load_ms > 0
            stats = await process.stats()
            assert stats["memory_bytes"] > size_bytes
            assert (stats["busy_slots"], stats["slots"], stats["requests"]) == (0, 2, 0)

    asyncio.run(run())


@pytest.mark.slow
def test_a_context_longer_than_the_models_is_cut_to_it(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, slots=1, context_size=100_000) as process:
            assert process.loaded.context_size == 8192

    asyncio.run(run())


@pytest.mark.slow
def test_a_killed_worker_is_an_error_of_each_open_request_and_the_owner_hears_of_it_once(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        exits: list[None] = []
        process = await ModelProcess.start(launch(smollm2_path, tmp_path), on_exit=lambda: exits.append(None))
        events = [asyncio.Event() for _ in range(3)]
        readers = [asyncio.create_task(text_came(process, event)) for event in events]
        async with asyncio.timeout(DEADLINE_S):
            for event in events:
                await event.wait()
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            errors = await asyncio.gather(*readers)
        assert [type(error) for error in errors] == [WorkerCrashed] * 3
        assert errors[0].details["signal"] == "SIGKILL"
        assert errors[0].retryable
        assert len(exits) == 1
        assert process.busy == 0
        with pytest.raises(WorkerCrashed):
            await process.tokenize("still there?")

    asyncio.run(run())


@pytest.mark.slow
def test_an_illegal_instruction_is_told_as_an_engine_for_another_cpu(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        process = await ModelProcess.start(launch(smollm2_path, tmp_path), on_exit=lambda: None)
        started = asyncio.Event()
        reader = asyncio.create_task(text_came(process, started))
        async with asyncio.timeout(DEADLINE_S):
            await started.wait()
            os.kill(process.pid, signal.SIGILL)
            error = await reader
        assert "built for another CPU" in error.message
        assert error.hint
        assert not error.retryable

    asyncio.run(run())


@pytest.mark.slow
def test_a_stream_that_is_closed_frees_its_slot(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, slots=1) as process:
            for request in (story(), story("read this " * 400)):
                async with aclosing(process.chat(request)) as stream:
                    async for chunk in stream:
                        if chunk.text or (chunk.prefill and chunk.prefill.processed):
                            break
                async with asyncio.timeout(CANCEL_DEADLINE_S):
                    # Each look is a round trip to the engine, so nothing spins.
                    while (await process.stats())["busy_slots"]:
                        pass
                assert (await result_of(process, story("Hi.", 2))).finish_reason == "length"
            assert process.busy == 0

    asyncio.run(run())


@pytest.mark.slow
def test_a_long_prompt_lets_other_streams_go_on(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, stream_window_ms=0) as process:
            texts_between = 0
            progress: list[int] = []

            async def read_long() -> None:
                nonlocal progress
                async with aclosing(process.chat(story("read this " * 400, 2))) as stream:
                    async for chunk in stream:
                        progress += [chunk.prefill.processed] if chunk.prefill else []

            async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(story())) as stream:
                reader: asyncio.Task[None] | None = None
                async for chunk in stream:
                    if chunk.text and reader is None:
                        reader = asyncio.create_task(read_long())
                    if reader is not None and reader.done():
                        break
                    texts_between += bool(chunk.text and len(progress) > 1)
                assert reader is not None
                await reader
            assert len(progress) > 4
            assert texts_between >= 4

    asyncio.run(run())


@pytest.mark.slow
def test_a_load_that_is_cancelled_leaves_no_worker(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        loading = asyncio.create_task(ModelProcess.start(launch(smollm2_path, tmp_path), on_exit=lambda: None))
        await until(lambda: bool(running_children()))
        (child,) = running_children()
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        assert not child.is_running()

    asyncio.run(run())


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_loads_is_told_as_crashed(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        loading = asyncio.create_task(ModelProcess.start(launch(smollm2_path, tmp_path), on_exit=lambda: None))
        await until(lambda: bool(running_children()))
        (child,) = running_children()
        child.kill()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(WorkerCrashed, match="SIGKILL") as caught:
                await loading
        assert caught.value.hint is not None

    asyncio.run(run())


@pytest.mark.slow
def test_a_worker_whose_kernel_closes_the_pipe_ends(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        exits: list[None] = []
        process = await ModelProcess.start(launch(smollm2_path, tmp_path), on_exit=lambda: exits.append(None))
        started = asyncio.Event()
        reader = asyncio.create_task(text_came(process, started))
        async with asyncio.timeout(DEADLINE_S):
            await started.wait()
            await process.end()
            assert isinstance(await reader, WorkerCrashed)
        assert len(exits) == 1

    asyncio.run(run())


def _no_gguf(path: Path, _good: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + b"not a model" * 100)


def _empty(path: Path, _good: Path) -> None:
    path.write_bytes(b"")


def _old_version(path: Path, _good: Path) -> None:
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0) + bytes(64))


def _truncated(path: Path, good: Path) -> None:
    with good.open("rb") as source:
        path.write_bytes(source.read(40_000_000))


def _missing(path: Path, _good: Path) -> None:
    """Leaves nothing there."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_no_gguf, "is not a GGUF file"),
        (_empty, "is not a GGUF file"),
        (_old_version, "GGUF version 1"),
        (_truncated, "is truncated: it has 40000000 of the 98362432 bytes"),
        (_missing, "cannot be read"),
    ],
)
def test_a_bad_file_is_a_load_that_failed_and_says_why(
    write: object, words: str, smollm2_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.gguf"
    assert callable(write)
    write(path, smollm2_path)
    with pytest.raises(ModelLoadFailed, match=words) as caught:
        asyncio.run(ModelProcess.start(launch(path, tmp_path), on_exit=lambda: None))
    assert caught.value.hint


def test_an_unknown_engine_is_a_config_error(tmp_path: Path, smollm2_path: Path) -> None:
    with pytest.raises(ConfigError, match="'vllm' is not a GGUF engine"):
        asyncio.run(ModelProcess.start(launch(smollm2_path, tmp_path, engine="vllm"), on_exit=lambda: None))


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is not None, reason="llama-cpp-python is installed here")
def test_an_engine_that_is_not_installed_says_how_to_install_it(tmp_path: Path, smollm2_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        asyncio.run(ModelProcess.start(launch(smollm2_path, tmp_path, engine="llama-cpp-python"), on_exit=lambda: None))
    assert caught.value.hint == install_command("llama-cpp-python")


@pytest.mark.slow
def test_the_engines_listener_is_a_socket_file_that_no_other_user_can_reach(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path) as process:
            connections = psutil.Process(process.pid).net_connections(kind="all")
            listening = [one for one in connections if one.status == psutil.CONN_LISTEN]
            assert listening == [], "the engine listens on the network"
            paths = [Path(one.laddr) for one in connections if isinstance(one.laddr, str) and one.laddr]
            assert len(paths) == 1
            assert paths[0].parent.stat().st_mode & 0o077 == 0
        assert not paths[0].parent.exists()

    asyncio.run(run())


def test_a_socket_directory_of_a_dead_kernel_is_removed_and_a_live_one_is_not() -> None:
    alive, dead = SocketDirectory(), SocketDirectory()
    (dead.path / "engine.sock").touch()
    os.close(dead._fd)
    remove_stale_directories()
    assert alive.path.is_dir()
    assert not dead.path.exists()
    alive.remove()
    alive.remove()
    assert not alive.path.exists()

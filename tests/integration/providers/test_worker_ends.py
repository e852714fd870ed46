"""Model workers that end in every way, in a request or in a load: typed errors, and the next request works."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from llmspell_protocol.errors import LlmspellError, ModelLoadFailed, OutOfMemory, WorkerCrashed
from llmspell_providers.candle import process
from llmspell_providers.candle.process import ModelProcess
from tests.support import wayward
from tests.support.wayward import ask, failure, launch, models

SIGNALS = (
    *(signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM),
    *(signal.SIGBUS, signal.SIGSYS, 34, 40, 63, 64),
)
"""34 to 64 are Linux's real-time signals."""
ENDS = [*(f"signal {int(number)}" for number in SIGNALS), "exit 0", "exit 3", "garbage", "odd"]


def logs_in(directory: Path) -> list[Path]:
    """The logs of model workers."""
    return [*directory.glob("model-*.log")]


@pytest.fixture(autouse=True)
def _wayward_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_WORKER", wayward.WORKER)


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_that_ends_answers_all_its_requests_and_the_next_one_gets_another(end: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with models(tmp_path) as service:
            begun = asyncio.Event()
            other = asyncio.create_task(failure(service, "hold", begun))
            await begun.wait()
            errors = [await failure(service, end), await other]
            assert [type(error) for error in errors] == [WorkerCrashed] * 2
            assert all(error.hint for error in errors)
            assert await ask(service, "again") == "again"

    asyncio.run(run())


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_that_ends_while_it_loads_is_told(end: str, tmp_path: Path) -> None:
    async def run() -> LlmspellError:
        with pytest.raises(LlmspellError) as caught:
            await ModelProcess.start(launch(tmp_path, end), on_exit=lambda: None)
        return caught.value

    error = asyncio.run(run())
    assert type(error) is WorkerCrashed
    assert error.hint


@pytest.mark.parametrize(
    ("orders", "kind", "words", "hint"),
    [
        ("say GGML_ASSERT(n > 0) failed|signal 6", WorkerCrashed, "SIGABRT.*GGML_ASSERT", "choose another model"),
        (
            "say terminate called after throwing an instance of 'std::bad_alloc'|signal 6",
            OutOfMemory,
            "memory",
            "raise",
        ),
        ("signal 6", WorkerCrashed, "SIGABRT while it loaded", "verify"),
        ("signal 7", WorkerCrashed, "SIGBUS while it loaded", "shortened meanwhile"),
        ("signal 8", WorkerCrashed, "SIGFPE while it loaded", "divides"),
        ("signal 9", WorkerCrashed, "may have run out of memory", "try again"),
    ],
)
def test_the_hint_of_a_load_that_crashed_is_of_its_cause(
    orders: str, kind: type[LlmspellError], words: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        asyncio.run(ModelProcess.start(launch(tmp_path, orders, memory_bytes=1 << 30), on_exit=lambda: None))
    assert hint in str(caught.value.hint)
    if "SIGABRT" in caught.value.message:
        assert "try again" not in str(caught.value.hint)
        assert not caught.value.retryable


@pytest.mark.parametrize("gone", ["log", "directory"])
def test_an_end_is_told_though_the_log_has_gone(gone: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with models(tmp_path) as service:
            assert await ask(service, "loaded") == "loaded"
            [log] = logs_in(tmp_path)
            log.unlink()
            if gone == "directory":
                log.mkdir()
            assert isinstance(await failure(service, "signal 40"), WorkerCrashed)
            if gone == "directory":
                log.rmdir()
            assert await ask(service, "again") == "again"

    asyncio.run(run())


def test_what_fails_while_an_end_is_told_loses_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = process.SocketDirectory.remove

    def fail(sockets: process.SocketDirectory) -> None:
        remove(sockets)
        raise OSError("the directory can't be removed")

    async def run() -> None:
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
        async with models(tmp_path) as service:
            assert await ask(service, "loaded") == "loaded"
            monkeypatch.setattr(process.SocketDirectory, "remove", fail)
            assert isinstance(await failure(service, "signal 40"), WorkerCrashed)
            monkeypatch.setattr(process.SocketDirectory, "remove", remove)
            assert await ask(service, "again") == "again"
        assert len(raised) == 1

    asyncio.run(run())


def test_a_request_that_takes_too_much_ends_the_worker_and_the_next_one_loads_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with models(tmp_path, '[models]\nworker_memory_bytes = "300 MB"\n') as service:
            begun = asyncio.Event()
            other = asyncio.create_task(failure(service, "hold", begun))
            await begun.wait()
            error = await failure(service, "grow")
            assert type(error) is OutOfMemory
            assert error.details["limit_bytes"] == 300_000_000
            assert "models.worker_memory_bytes" in str(error.hint)
            beside = await other
            assert (type(beside), beside.retryable) == (WorkerCrashed, True)
            assert "needed more memory" in beside.message
            assert await ask(service, "again") == "again"

    asyncio.run(run())


def test_resident_memory_beyond_the_limit_ends_a_worker_that_nothing_else_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the system knows no limit of its own.
    monkeypatch.setattr("llmspell_protocol.child.spawn", _without_limit())

    async def run() -> None:
        async with models(tmp_path, '[models]\nworker_memory_bytes = "300 MB"\n') as service:
            error = await failure(service, "touch 400")
            assert type(error) is OutOfMemory
            assert "took more memory than it may" in error.message
            assert await ask(service, "again") == "again"

    asyncio.run(run())


def _without_limit() -> object:
    from llmspell_protocol.child import spawn

    return lambda module, **named: spawn(module, **{**named, "memory_bytes": None})


def test_a_cancelled_request_that_goes_on_is_the_end_of_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.STOP_WITHIN_S, "chat", 0.2)

    async def run() -> None:
        worker = await ModelProcess.start(launch(tmp_path), on_exit=(gone := asyncio.Event()).set)
        async with asyncio.timeout(wayward.DEADLINE_S):
            stream = worker.chat(wayward.order("hold"))
            assert (await anext(stream)).text == "begun"
            await stream.aclose()
            await gone.wait()

    asyncio.run(run())


def test_a_worker_that_others_use_is_not_ended_at_once_for_a_cancelled_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.STOP_WITHIN_S, "chat", 0.1)

    async def run() -> None:
        worker = await ModelProcess.start(launch(tmp_path), on_exit=(gone := asyncio.Event()).set)
        async with asyncio.timeout(wayward.DEADLINE_S):
            wanted = worker.chat(wayward.order("hold"))
            await anext(wanted)
            stream = worker.chat(wayward.order("hold"))
            await anext(stream)
            began = asyncio.get_running_loop().time()
            await stream.aclose()
            with pytest.raises(WorkerCrashed, match="did not stop when it was cancelled"):
                await anext(wanted)
            assert asyncio.get_running_loop().time() - began > 5 * process.STOP_WITHIN_S["chat"]
            await gone.wait()

    asyncio.run(run())


def test_a_load_that_reads_nothing_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_providers.candle.watch.SILENT_LOAD_S", 1.0)
    with pytest.raises(ModelLoadFailed, match=r"has read nothing of 'm\.gguf'") as caught:
        asyncio.run(ModelProcess.start(launch(tmp_path, "hold"), on_exit=lambda: None))
    assert caught.value.hint

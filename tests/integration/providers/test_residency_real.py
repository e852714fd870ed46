"""Real models coming into memory and leaving it, as `model ps` shows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import (
    BackendNotConfigured,
    Busy,
    Cancelled,
    ModelInUse,
    ModelLoadFailed,
    ModelNotFound,
    OutOfMemory,
    WorkerCrashed,
)
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, LoadedModel, SamplingOptions
from tests.support.settings import settings_from
from tests.support.turns import until

pytestmark = pytest.mark.slow

DEADLINE_S = 150
CRASH_DEADLINE_S = 60.0
MB = 1_000_000
ONE_MODEL_MB = 300
"""Between one and two workers with a context of 512 tokens (about 180 MB each)."""


def _toml(home: Path, *, models: str = "", candle: str = "") -> str:
    return (
        f"[models]\n{models}\n"
        f'[providers.candle]\nmodel_directory = "{home / "models"}"\ncontext_size = 512\nmax_concurrent = 1\n{candle}\n'
    )


@asynccontextmanager
async def _service(home: Path, *, models: str = "", candle: str = "") -> AsyncIterator[ModelsService]:
    settings = settings_from(_toml(home, models=models, candle=candle), home)
    service = ModelsService(settings, home, log_directory=home, environment={})
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield service
    finally:
        await service.close()


async def _import(service: ModelsService, model: Path, home: Path, *names: str) -> None:
    """Installs the same weights under several names."""
    for name in names:
        link = home / f"{name}.gguf"
        link.symlink_to(model)
        async for _ in service.inventory.pull(f"file://{link}@candle"):
            pass


def _request(model: str, text: str = "Say hello.", max_tokens: int = 4) -> ChatRequest:
    return ChatRequest(
        model=model,
        messages=(ChatMessage(role="user", content=text),),
        options=SamplingOptions(temperature=0.0, max_tokens=max_tokens),
    )


async def _ask(service: ModelsService, model: str, *, client: str = "me", max_tokens: int = 4) -> ChatResult:
    result = None
    async for chunk in service.chat(_request(model, max_tokens=max_tokens), client=client):
        result = chunk.result
    assert result is not None
    return result


async def _begun(chunks: AsyncIterator[ChatChunk]) -> None:
    """Reads up to the first piece of the answer."""
    async for chunk in chunks:
        if chunk.text:
            return
    raise AssertionError("the answer came to its end")


def _cut(path: str) -> None:
    """Leaves the first megabyte of a file, which may be a link to one that others need whole."""
    data = Path(path).read_bytes()[:MB]
    Path(path).unlink()
    Path(path).write_bytes(data)


async def _ps(service: ModelsService) -> dict[str, LoadedModel]:
    return {model.model: model for model in (await service.inventory.ps()).models}


def test_with_a_budget_for_one_model_the_other_has_to_go(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        limits = f'memory_budget_bytes = "{ONE_MODEL_MB} MB"\nprompt_cache_bytes = 0'
        async with _service(tmp_path, models=limits) as service:
            await _import(service, smollm2_path, tmp_path, "first", "second")
            await _ask(service, "first")
            first = (await _ps(service))["first"]
            assert first.reason.endswith("the first to go if another model needs the memory")
            await _ask(service, "second")
            residents = await service.inventory.ps()
            assert [model.model for model in residents.models] == ["second"]
            assert residents.budget_bytes == ONE_MODEL_MB * MB
            assert 0 < residents.used_bytes <= residents.budget_bytes
            await service.load("second", pin=True)
            with pytest.raises(OutOfMemory) as caught:
                await _ask(service, "first")
            assert caught.value.details["held"][0]["model"] == "second@candle"
            assert caught.value.details["budget_bytes"] == ONE_MODEL_MB * MB

    asyncio.run(scenario())


def test_the_estimate_is_near_what_the_worker_takes_and_nearer_the_next_time(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            for tolerance in (0.15, 0.05):
                loaded = await service.load("m")
                assert loaded.memory_bytes is not None
                assert loaded.estimated_bytes == pytest.approx(loaded.memory_bytes, rel=tolerance)
                (unloaded,) = (await service.inventory.unload("m")).unloaded
                assert unloaded.bytes_freed > 100 * MB

    asyncio.run(scenario())


def test_one_request_of_another_client_runs_second_behind_twenty(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            await service.load("m")
            order: list[str] = []

            async def one(client: str) -> None:
                async with aclosing(service.chat(_request("m"), client=client)) as chunks:
                    await anext(chunks)
                    order.append(client)
                    async for _ in chunks:
                        pass

            crowd = [asyncio.create_task(one("A")) for _ in range(20)]
            await until(lambda: service.own()["m@candle"] == 19)
            await asyncio.gather(*crowd, one("B"))
            assert order.index("B") == 1
            assert len(order) == 21

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path, models="max_queue = 1") as service:
            await _import(service, smollm2_path, tmp_path, "m")
            async with aclosing(service.chat(_request("m", max_tokens=400), client="first")) as chunks:
                await _begun(chunks)
                waiting = asyncio.create_task(_ask(service, "m", client="second"))
                await until(lambda: service.own()["m@candle"] == 1)
                with pytest.raises(Busy) as caught:
                    await _ask(service, "m", client="third")
                assert caught.value.details["retry_after_s"] > 0
                assert not waiting.done()
            await waiting

    asyncio.run(scenario())


def test_many_requests_for_a_cold_model_start_one_worker(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path, candle="") as service:
            await _import(service, smollm2_path, tmp_path, "m")
            results = await asyncio.gather(*(_ask(service, "m", client=f"client {n}") for n in range(4)))
            assert all(result.timings.load_ms > 0 for result in results)
            assert len((await service.inventory.ps()).models) == 1
            warm = await _ask(service, "m")
            assert warm.timings.load_ms == 0
            assert warm.usage.cached_tokens > 0

    asyncio.run(scenario())


async def _rest_of(chunks: AsyncIterator[ChatChunk]) -> None:
    async for _ in chunks:
        pass


def test_a_killed_worker_fails_its_requests_and_the_next_one_works(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            chunks = service.chat(_request("m", max_tokens=400), client="me")
            await _begun(chunks)
            pid = (await _ps(service))["m"].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(WorkerCrashed) as caught:
                await asyncio.wait_for(_rest_of(chunks), CRASH_DEADLINE_S)
            assert caught.value.retryable
            assert (await service.inventory.ps()).models == []
            await _ask(service, "m")
            assert (await _ps(service))["m"].pid != pid

    asyncio.run(scenario())


def test_keep_alive_of_nothing_unloads_after_the_answer(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path, models="keep_alive = 0") as service:
            await _import(service, smollm2_path, tmp_path, "m")
            await _ask(service, "m")
            await until(lambda: not service.own())
            loaded = await service.load("m", keep_alive="1h30m")
            assert loaded.expires_at is not None
            assert loaded.reason.startswith("idle, unloads in 1h 30m")

    asyncio.run(scenario())


def test_a_model_that_answers_is_neither_unloaded_nor_removed_without_force(smollm2_path: Path, tmp_path: Path) -> None:
    size = smollm2_path.stat().st_size

    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            chunks = service.chat(_request("m", max_tokens=400), client="me")
            await _begun(chunks)
            with pytest.raises(ModelInUse):
                await service.inventory.unload("m")
            with pytest.raises(ModelInUse):
                await service.inventory.remove("m")
            removed = await service.inventory.remove("m", force=True)
            # A pull from a file of this disk has taken it as it is: it is still there under its other name.
            assert removed.bytes_freed in (0, size)
            with pytest.raises(Cancelled, match="unloaded by force"):
                async for _ in chunks:
                    pass
            with pytest.raises(ModelNotFound):
                await service.info("m@candle")

    asyncio.run(scenario())


def test_a_loaded_model_is_held_against_other_kernels(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as mine, _service(tmp_path) as other:
            await _import(mine, smollm2_path, tmp_path, "m")
            await mine.load("m")
            with pytest.raises(ModelInUse) as caught:
                await other.inventory.remove("m")
            assert str(os.getpid()) in caught.value.message
            await mine.inventory.unload("m")
            assert (await other.inventory.remove("m")).model_id == "m"

    asyncio.run(scenario())


def test_removing_a_loaded_model_unloads_it_first(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            await service.load("m", pin=True)
            pid = (await _ps(service))["m"].pid
            assert pid is not None
            await service.inventory.remove("m")
            assert (await service.inventory.ps()).models == []
            assert not psutil.pid_exists(pid)

    asyncio.run(scenario())


def test_a_file_that_is_broken_since_its_import_fails_to_load_with_the_reason(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            _cut((await service.info("m")).path or "")
            with pytest.raises(ModelLoadFailed, match=f"is damaged: .* {MB} bytes"):
                await _ask(service, "m")
            assert (await service.inventory.ps()).models == []
            assert not (await service.inventory.verify("m")).ok

    asyncio.run(scenario())


def test_a_request_that_is_given_up_while_the_model_loads_leaves_no_worker(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            asked = asyncio.create_task(_ask(service, "m"))
            await until(lambda: bool(service.own()))
            asked.cancel()
            await asyncio.wait([asked])
            await until(lambda: not service.own())

    asyncio.run(scenario())  # the fixture that watches over every test finds a worker that stayed


def test_without_a_backend_the_service_says_what_is_missing(tmp_path: Path) -> None:
    async def scenario() -> None:
        service = ModelsService(settings_from("", tmp_path), tmp_path, log_directory=tmp_path, environment={})
        backends = (await service.inventory.status()).backends
        assert {name: health.configured for name, health in backends.items()} == {
            "ollama": False,
            "candle": False,
        }
        assert (await service.inventory.list_models()).models == []
        with pytest.raises(BackendNotConfigured):
            await service.info("smollm2:135m@candle")
        await service.close()

    asyncio.run(scenario())


def test_a_request_for_a_larger_context_loads_an_idle_model_anew_and_says_so(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with _service(tmp_path) as service:
            await _import(service, smollm2_path, tmp_path, "m")
            await service.load("m")
            assert (await _ps(service))["m"].context_reason == "providers.candle.context_size"
            wanted = replace(_request("m"), options=SamplingOptions(max_tokens=4, num_ctx=1024))
            chunks = [chunk async for chunk in service.chat(wanted, client="me")]
            assert chunks[0].notice == "m is loaded anew with a context of 1024 tokens"
            again = [chunk async for chunk in service.chat(wanted, client="me")]
            assert not any(chunk.loading for chunk in again)
            residents = await _ps(service)
            assert (residents["m"].context_size, residents["m"].context_reason) == (1024, "as num_ctx asks")
            async with aclosing(service.chat(_request("m", max_tokens=200), client="me")) as running:
                await _begun(running)
                larger = replace(wanted, options=SamplingOptions(max_tokens=4, num_ctx=2048))
                with pytest.raises(ModelInUse, match="with a context of 2048 tokens, but it is in use"):
                    [chunk async for chunk in service.chat(larger, client="you")]

    asyncio.run(scenario())


def test_a_reply_without_a_limit_goes_on_to_the_contexts_end_and_says_that_it_was_cut(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with _service(tmp_path, candle="repeat_penalty = 1.0") as service:
            await _import(service, smollm2_path, tmp_path, "m")
            endless = ChatRequest(
                model="m", prompt="1 2 3 4 1 2 3 4 1 2 3 4", raw=True, options=SamplingOptions(temperature=0.0)
            )
            *_, last = [chunk async for chunk in service.chat(endless, client="me")]
            assert last.result is not None
            assert (last.result.finish_reason, last.result.truncated) == ("context_full", True)
            assert last.result.context_size == 512
            assert last.result.usage.prompt_tokens + last.result.usage.completion_tokens > 480

    asyncio.run(scenario())

"""The memory of models whose layers keep different things: foreseen, bounded while they answer, given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.models import ChatRequest, ChatResult, LoadedModel, SamplingOptions
from tests.support.random_gguf import ARCHITECTURES, write_random_model
from tests.support.settings import settings_from

pytestmark = pytest.mark.slow

DEADLINE_S = 150
MB = 1_000_000
GROWS = ("windowed 5:1", "recurrent, wide", "hybrid")


@asynccontextmanager
async def _installed(home: Path, path: Path, candle: str, models: str = "") -> AsyncIterator[ModelsService]:
    """A service that has the model under the name `m`."""
    toml = f'[models]\n{models}\n[providers.candle]\nmodel_directory = "{home / "models"}"\n{candle}\n'
    service = ModelsService(settings_from(toml, home), home, log_directory=home, environment={})
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for _ in service.inventory.pull(f"file://{path}@candle"):
                pass
            yield service
    finally:
        await service.close()


async def _line(service: ModelsService) -> LoadedModel:
    (line,) = (await service.inventory.ps()).models
    return line


async def _continued(service: ModelsService, prompt: str, max_tokens: int = 4) -> ChatResult:
    options = SamplingOptions(temperature=0.0, max_tokens=max_tokens)
    request = ChatRequest(model="m", prompt=prompt, raw=True, options=options)
    result = None
    async for chunk in service.chat(request, client="me"):
        result = chunk.result
    assert result is not None
    return result


def _sizes(context: int, slots: int, batch: int) -> str:
    return f"context_size = {context}\nmax_concurrent = {slots}\nbatch_size = {batch}"


@pytest.mark.parametrize("setting", [(512, 1, 256), (4096, 3, 100)], ids=str)
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_first_load_takes_within_five_percent_of_what_was_foreseen(
    kind: str, setting: tuple[int, int, int], tmp_path: Path
) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", kind)
        async with _installed(tmp_path, path, _sizes(*setting), "prompt_cache_bytes = 0") as service:
            loaded = await service.load("m")
            assert loaded.memory_bytes is not None
            assert loaded.estimated_bytes == pytest.approx(loaded.memory_bytes, rel=0.05)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", GROWS)
def test_many_turns_of_many_talks_stay_within_what_was_foreseen(kind: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", kind)
        async with _installed(tmp_path, path, _sizes(2048, 2, 128), 'memory_budget_bytes = "1 GB"') as service:
            talks = [f"Talk number {number}.\n" + "x" * 300 + "\n" for number in range(2)]
            cached: list[list[int]] = [[], []]
            for _ in range(4):
                for number, talk in enumerate(talks):
                    result = await _continued(service, talk)
                    cached[number].append(result.usage.cached_tokens)
                    # Goes on elsewhere than the slot ended, which a window or a state cannot without a checkpoint.
                    talks[number] = f"{talk}And then {number}?\n" + "y" * 200 + "\n"
            line = await _line(service)
            assert not [said for said in line.warnings if "expected to need" in said]
            assert line.memory_bytes is not None
            (resident,) = service._registry.residency.models
            assert line.memory_bytes <= resident.expected_bytes
            # With as few checkpoints as there are each talk still goes on where it was.
            assert all(turns[1] > 200 and turns[2] > turns[1] for turns in cached), cached

    asyncio.run(scenario())


def test_a_worker_gives_back_what_it_keeps_for_later_turns_and_answers_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", "recurrent, wide")
        async with _installed(tmp_path, path, _sizes(1024, 2, 128), 'memory_budget_bytes = "1 GB"') as service:
            for number in range(4):
                await _continued(service, f"{number} " + "x" * 400)
            (resident,) = service._registry.residency.models
            held = resident.memory_bytes
            assert resident.worker is not None
            await resident.worker.trim()
            assert resident.memory_bytes < held - 20 * MB
            result = await _continued(service, "3 " + "x" * 400)
            assert result.usage.completion_tokens > 0

    asyncio.run(scenario())


def test_a_passed_budget_is_acted_upon_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", "recurrent, wide")
        # Checkpoints and kept prompts of the settings' own choice, in a budget that holds what is foreseen and no more.
        limits = 'memory_budget_bytes = "130 MB"\nprompt_cache_bytes = 0'
        async with _installed(tmp_path, path, _sizes(1024, 2, 128), limits) as service:
            await _continued(service, "x" * 400)
            residency = service._registry.residency
            # As if the engine kept what nobody has foreseen.
            residency._memory_budget = (await _line(service)).memory_bytes or 0
            residency._memory_budget -= 1
            residency._look_at_memory()
            assert residency._relieving is not None
            await asyncio.wait([residency._relieving])
            assert residency.used_bytes <= residency._memory_budget

    asyncio.run(scenario())
    assert any("memory_budget_bytes" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("slots", [3, 5, 7, 64])
def test_any_number_of_slots_can_be_loaded_and_embeds(slots: int, tmp_path: Path) -> None:
    """The engine ends the process where a batch cannot be shared out evenly among its slots."""

    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", "full")
        for batch in (1, 100):
            home = tmp_path / str(batch)
            home.mkdir()
            async with _installed(home, path, _sizes(256, slots, batch)) as service:
                assert (await service.load("m")).slots == slots
                if batch > 1:
                    assert (await service.embed(["a"], model="m", normalize=True, client="me")).count == 1

    asyncio.run(scenario())


def test_a_model_from_before_its_memory_was_noted_is_foreseen_from_its_second_load_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", "windowed 5:1")
        async with _installed(tmp_path, path, _sizes(4096, 2, 128), "prompt_cache_bytes = 0") as service:
            provider = service._registry.get("candle")
            store = provider.store  # type: ignore[attr-defined]
            (manifest,) = store.list()
            store._record(manifest, lambda current: _without_memory(current))
            first = await service.load("m")
            await service.inventory.unload("m")
            await provider._loader.close()  # type: ignore[attr-defined]
            second = await service.load("m")
            assert first.estimated_bytes is not None
            assert second.memory_bytes is not None
            assert first.estimated_bytes > 1.5 * second.memory_bytes
            assert second.estimated_bytes == pytest.approx(second.memory_bytes, rel=0.05)

    asyncio.run(scenario())


def _without_memory(manifest):  # type: ignore[no-untyped-def]
    import dataclasses

    return dataclasses.replace(manifest, memory=None)

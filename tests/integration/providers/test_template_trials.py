"""Chat templates that never end, take all memory or overrun a stack: found before a load, in little time and memory."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.candle.process import Launch, ModelProcess
from llmspell_providers.candle.template_trial import TemplateTrial
from llmspell_providers.candle.trial import Trial
from llmspell_providers.candle.trial_model import trial_model
from llmspell_providers.library.gguf import read_gguf
from tests.support.children import is_running, running_children
from tests.support.hostile_templates import DEEP, ENDLESS, SOUND
from tests.support.templates import TEMPLATE
from tests.support.turns import until

KEY = "tokenizer.chat_template"
SMALL = 250 << 20
"""An engine without work has reserved 100 MB of it, for the stacks of its threads."""
needs_jinja = pytest.mark.skipif(importlib.util.find_spec("jinja2") is None, reason="comes with the torch extra")


def tried(engine: str, template: str, directory: Path, key: str = KEY) -> TemplateTrial:
    """A trial with a second and 250 MB."""
    return TemplateTrial(engine, "m", {key: template}, directory, computes_s=1, memory_bytes=SMALL)


@pytest.mark.parametrize("template", [*ENDLESS.values(), *DEEP.values()], ids=[*ENDLESS, *DEEP])
def test_a_template_that_never_ends_is_refused_by_name(template: str, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="the chat template of m cannot be used") as caught:
        tried("xllamacpp", template, tmp_path).check()
    assert caught.value.hint
    assert not list(tmp_path.glob("trial.[gl]*"))


@needs_jinja
@pytest.mark.parametrize("engine", ["torch", "llama-cpp-python"])
@pytest.mark.parametrize("name", ["loops in loops", "a product", "growth by ~", "growth by replace", "growth by join"])
def test_a_template_that_never_ends_in_jinja_is_refused_by_name(engine: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="the chat template of m cannot be used"):
        tried(engine, ENDLESS[name], tmp_path, "chat_template").check()


@pytest.mark.parametrize("engine", ["xllamacpp", "llama-server", "torch", "llama-cpp-python"])
@pytest.mark.parametrize("template", [*SOUND, TEMPLATE, "{{ nope", "{{ raise_exception('no') }}", ""])
def test_a_template_that_ends_passes_whatever_else_is_wrong_with_it(engine: str, template: str, tmp_path: Path) -> None:
    tried(engine, template, tmp_path).check()


def test_a_template_for_tools_that_stands_beside_the_other_is_tried_too(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(trial_model({KEY: SOUND[0], f"{KEY}.tool_use": ENDLESS["loops in loops"]}))
    found = read_gguf(path).chat_templates
    assert list(found) == [KEY, f"{KEY}.tool_use"]
    with pytest.raises(ModelLoadFailed):
        TemplateTrial("xllamacpp", "m", found, tmp_path, computes_s=1, memory_bytes=SMALL).check()


@pytest.mark.parametrize("name", ["a loop", "loops in loops"])
def test_a_load_with_such_a_template_ends_soon_and_leaves_no_process(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(trial_model({KEY: ENDLESS[name]}))
    with pytest.raises(ModelLoadFailed, match="the chat template of m cannot be used") as caught:
        asyncio.run(ModelProcess.start(_launch(path, tmp_path), on_exit=lambda: None))
    assert "reason" not in caught.value.details
    assert not running_children()


def test_a_load_that_is_cancelled_takes_its_trial_along(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(trial_model({KEY: ENDLESS["loops in loops"]}))

    async def run() -> None:
        loading = asyncio.create_task(ModelProcess.start(_launch(path, tmp_path), on_exit=lambda: None))
        await until(lambda: len(running_children(recursive=True)) == 2)
        children = running_children(recursive=True)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        await until(lambda: not any(is_running(child) for child in children))

    asyncio.run(run())


def test_memory_time_and_crashes_of_a_trial_are_told_apart() -> None:
    def too_much() -> None:
        bytearray(2 * SMALL)

    def too_long() -> None:
        while True:
            pass

    def wrong() -> None:
        raise ValueError("of another matter")

    assert "memory" in str(Trial(too_much, memory_bytes=SMALL).fault())
    assert "computes for more than 1 s" in str(Trial(too_long, computes_s=1).fault())
    assert Trial(wrong).fault() is None
    assert Trial(lambda: None).fault() is None


def test_the_model_that_carries_templates_is_one_that_the_engine_loads(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(trial_model({KEY: SOUND[0]}))

    async def run() -> None:
        process = await ModelProcess.start(_launch(path, tmp_path), on_exit=lambda: None)
        assert process.loaded.chat_template
        await process.end()

    asyncio.run(run())


def _launch(path: Path, directory: Path) -> Launch:
    return Launch(
        engine="xllamacpp",
        path=path,
        model="m",
        slots=1,
        context_size=64,
        batch_size=32,
        threads=1,
        log_path=directory / "worker.log",
        memory_bytes=1 << 30,
    )

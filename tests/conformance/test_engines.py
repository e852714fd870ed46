"""Every engine does the same; what one cannot do it declares, and what it declares it really cannot do.

The default engine runs always, and so does llama-server: llama.cpp's real HTTP server behind the flags of the binary,
and a binary of the machine where one is found. llama-cpp-python, a build of ten minutes, and torch, which has SmolLM2
as safetensors, run with `make test-engines`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmspell_protocol.errors import LlmspellError
from llmspell_providers.candle.engine import ABILITIES
from llmspell_providers.candle.process import Launch, ModelProcess
from llmspell_providers.candle.server_binary import find_server
from tests.conformance import chat_cases, embedding_cases, template_cases
from tests.conformance.engine_case import CONTEXT_SIZE, Case
from tests.support.llama_server import launcher
from tests.support.templates import checkpoint_with_template, with_template

pytestmark = pytest.mark.slow
CASES = {**chat_cases.CASES, **embedding_cases.CASES}
ENGINES = [
    "xllamacpp",
    "llama-server",
    "llama-server on PATH",
    pytest.param("llama-cpp-python", marks=pytest.mark.engines),
    pytest.param("torch", marks=pytest.mark.engines),
]


@dataclass(frozen=True)
class Running:
    """A loaded engine and the loop that it belongs to."""

    process: ModelProcess
    runner: asyncio.Runner


def _server(engine: str, directory: Path) -> Path | None:
    if engine == "llama-server":
        return launcher(directory)
    if engine != "llama-server on PATH":
        return None
    found = find_server(None, os.environ.get("PATH"))
    if found is None:
        pytest.skip("no llama-server on PATH")
    return found


def _running(engine: str, path: Path, directory: Path) -> Iterator[Running]:
    server = _server(engine, directory)
    launch = Launch(
        engine=engine.removesuffix(" on PATH"),
        path=path,
        format="gguf" if path.suffix == ".gguf" else "safetensors",
        model="smollm2:135m",
        context_size=CONTEXT_SIZE,
        prompt_cache_bytes=64 << 20,
        server_path=server,
        log_path=directory / "worker.log",
    )
    with asyncio.Runner() as runner:
        process = runner.run(ModelProcess.start(launch, on_exit=lambda: None))
        yield Running(process, runner)
        runner.run(process.end())


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """SmolLM2 as it comes, loaded by one of the engines."""
    directory = tmp_path_factory.mktemp("engine")
    if request.param == "torch":
        path = request.getfixturevalue("smollm2_safetensors") / "model.safetensors"
        yield from _running(request.param, path, directory)
    else:
        yield from _running(request.param, smollm2_path, directory)


@pytest.fixture(scope="module", params=ENGINES)
def template_engine(
    request: pytest.FixtureRequest, smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """SmolLM2 with a chat template that has tools and thinking, loaded by one of the engines."""
    directory = tmp_path_factory.mktemp("tools")
    if request.param == "torch":
        path = checkpoint_with_template(request.getfixturevalue("smollm2_safetensors"), directory)
        yield from _running(request.param, path, directory)
    else:
        yield from _running(request.param, with_template(smollm2_path, directory), directory)


def _keep_or_skip(running: Running, case: Case) -> None:
    engine = running.process.loaded.engine
    for lacking in sorted(case.needs.intersection(running.process.loaded.lacks)):
        pytest.skip(f"{engine} declares that it lacks {lacking}: {ABILITIES[lacking]}")
    running.runner.run(case.run(running.process))


@pytest.mark.parametrize("name", CASES)
def test_the_engine_keeps_the_contract(engine: Running, name: str) -> None:
    _keep_or_skip(engine, CASES[name])


@pytest.mark.parametrize("name", template_cases.CASES)
def test_the_engine_does_what_the_models_template_has(template_engine: Running, name: str) -> None:
    _keep_or_skip(template_engine, template_cases.CASES[name])


def _fails(running: Running, case: Case) -> bool:
    try:
        running.runner.run(case.run(running.process))
    except (LlmspellError, AssertionError):
        return True
    return False


def test_what_an_engine_declares_to_lack_it_really_cannot_do(engine: Running) -> None:
    lacks = set(engine.process.loaded.lacks)
    assert lacks <= set(ABILITIES)
    kept = [name for name, case in CASES.items() if case.needs & lacks and not _fails(engine, case)]
    assert kept == []


def test_what_an_engine_declares_to_lack_no_template_gives_it(template_engine: Running) -> None:
    lacks = set(template_engine.process.loaded.lacks)
    kept = [
        name for name, case in template_cases.CASES.items() if case.needs & lacks and not _fails(template_engine, case)
    ]
    assert kept == []


def test_every_ability_has_a_case_that_needs_it() -> None:
    needed = [case.needs for case in (*CASES.values(), *template_cases.CASES.values())]
    assert frozenset().union(*needed) == set(ABILITIES)

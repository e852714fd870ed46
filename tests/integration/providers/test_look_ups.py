"""How often a turn looks its model up: once, whoever asks and however the model is named."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.areas.agent import AgentCreate, AgentExecute
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest
from llmspell_providers.library.manifest import write_manifest
from llmspell_providers.library.store import Store
from tests.support.installed import install
from tests.support.ollama_replay import OllamaReplay
from tests.support.settings import settings_from

Turn = Callable[[ModelsService, str], Awaitable[Any]]


async def a_chat(models: ModelsService, model: str) -> None:
    request = ChatRequest(model=model, messages=(ChatMessage(role="user", content="Hi"),))
    assert [chunk async for chunk in models.chat(request, client="me")][-1].result is not None


async def an_agent_with_default_words(models: ModelsService, model: str) -> None:
    agents = AgentsService(models)
    agent = agents.create(AgentCreate(model=model), owner="me")
    await agents.execute(agent, AgentExecute(agent=agent.id, input="Hi"), client="me", on_chunk=lambda chunk: None)


TURNS = pytest.mark.parametrize("turn", [a_chat, an_agent_with_default_words])


def played(home: Path, toml: str, turn: Turn, model: str) -> None:
    """Plays one turn with the models service of these settings."""

    async def scenario() -> None:
        models = ModelsService(settings_from(toml, home), home, log_directory=home, environment={})
        try:
            async with asyncio.timeout(60):
                await turn(models, model)
        finally:
            await models.close()

    asyncio.run(scenario())


@TURNS
@pytest.mark.parametrize(("model", "lists"), [("smollm2:135m", 1), ("smollm2:135m@ollama", 0)])
def test_a_turn_asks_ollama_for_its_list_once_and_never_when_ollama_is_named(
    tmp_path: Path, turn: Turn, model: str, lists: int
) -> None:
    with OllamaReplay("033-tags-two", "050-ps-one", "064-chat-stream") as ollama:
        played(tmp_path, f'[providers.ollama]\nbase_url = "{ollama.base_url}"\n[providers.candle]\n', turn, model)
    assert [asked.path for asked in ollama.asked].count("/api/tags") == lists
    assert [asked.path for asked in ollama.asked].count("/api/chat") == 1


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The directory of candle's models, with one that makes embeddings: a chat finds it, and is refused by it."""
    install(tmp_path, "encoder")
    store = Store(tmp_path / "models" / "candle")
    (manifest,) = store.list()
    write_manifest(store.directory_of(manifest), replace(manifest, capabilities=("embed",)))
    return store.directory


@contextmanager
def listings_of(directory: Path) -> Iterator[list[str]]:
    """Counts how often this process lists a directory, meanwhile."""
    seen: list[str] = []
    counts = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if counts and event == "os.scandir" and os.fspath(arguments[0]) == str(directory):
            seen.append(event)

    sys.addaudithook(hook)
    try:
        yield seen
    finally:
        counts = False  # a hook can't be taken away again


@TURNS
@pytest.mark.parametrize("model", ["encoder", "encoder@candle"])
def test_a_turn_looks_into_the_model_directory_once(tmp_path: Path, encoder: Path, turn: Turn, model: str) -> None:
    with listings_of(encoder) as seen:
        Store(encoder).list()
        one_look_up = len(seen)
        with pytest.raises(Unsupported, match="makes embeddings"):
            played(tmp_path, "[providers.candle]\n", turn, model)
    assert one_look_up > 0
    assert len(seen) == 2 * one_look_up

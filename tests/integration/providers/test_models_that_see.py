"""Images for a model that is blind: the refusal names an installed one that sees."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest
from tests.support.installed import install
from tests.support.ollama_replay import RECORDINGS, OllamaReplay
from tests.support.settings import settings_from

LOOK = ChatRequest(
    model="blind@candle", messages=(ChatMessage(role="user", content="What is this?", images=(b"\x89PNG\r\n\x1a\n",)),)
)


def refusal(home: Path, base_url: str) -> Unsupported:
    """What a blind model's backend answers, beside an Ollama server."""
    install(home, "blind", capabilities=("chat",))

    async def ask() -> None:
        settings = settings_from(f'[providers.candle]\n[providers.ollama]\nbase_url = "{base_url}"\n', home)
        service = ModelsService(settings, home, log_directory=home, environment={})
        try:
            async for _ in service.chat(LOOK, client="me"):
                pass
        finally:
            await service.close()

    with pytest.raises(Unsupported) as caught:
        asyncio.run(ask())
    assert caught.value.details["operation"] == "images"
    return caught.value


def test_an_installed_model_that_sees_is_named(tmp_path: Path) -> None:
    with OllamaReplay("033-tags-two", "038-show", "050-ps-one") as ollama:
        shown = json.loads((RECORDINGS / "038-show.json").read_text())["response"]["chunks"]
        show = json.loads("".join(chunk["data"] for chunk in shown))
        ollama.replace("038-show", {**show, "capabilities": ["completion", "vision"]})
        error = refusal(tmp_path, ollama.base_url)
    seeing = error.details["seeing"]
    assert seeing.endswith("@ollama")
    assert error.hint == f"{seeing} sees: llmspell chat -m {seeing} --image FILE PROMPT"


def test_where_none_sees_the_hint_says_what_could(tmp_path: Path) -> None:
    error = refusal(tmp_path, "http://127.0.0.1:9")
    assert "seeing" not in error.details
    assert error.hint == "use a model that sees, with Ollama or a vendor's server"

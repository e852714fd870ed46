"""One chat's clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

from llmspell_kernel.services.chat_turn import chat_turn
from llmspell_kernel.services.reply_checks import ReplyChecks
from llmspell_protocol.models import ChatMessage, ChatRequest
from llmspell_providers.mock import MockProvider
from llmspell_providers.registry import LocatedModel
from llmspell_providers.spec import ModelSpec
from tests.support.virtual_time import run_in_virtual_time

LOOK_UP_S = 3.0


def test_the_clock_runs_while_the_model_is_looked_up(tmp_path: Path) -> None:
    async def locate() -> LocatedModel:
        await asyncio.sleep(LOOK_UP_S)
        return LocatedModel(MockProvider("one two"), ModelSpec.parse("mock/a"))

    async def main() -> None:
        request = ChatRequest(model="mock/a", messages=[ChatMessage(role="user", content="hi")])
        checks = ReplyChecks(tmp_path)
        results = [chunk.result async for chunk in chat_turn(locate, request, client="me", checks=checks)]
        assert results[-1] is not None
        assert results[-1].timings.first_token_ms == LOOK_UP_S * 1000
        await checks.close()

    run_in_virtual_time(main())

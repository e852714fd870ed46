"""Requests about agents: what a kernel streams, replies with, shows and forgets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Content, Request
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.graph import Services
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import NotFound
from tests.support.agent_handlers import agent_handler
from tests.support.recording_sink import RecordingSink
from tests.support.scripted_models import ScriptedModels

OWNER = "context-1"


def no_requests(request: Request) -> NoReturn:
    """No script runs here."""
    raise AssertionError(request.shown)


class Kernel:
    """The handler as dispatch calls it, and what it sends."""

    def __init__(self, home: Path) -> None:
        self.models = ScriptedModels()
        services = Services(Settings, home, {}, no_requests)
        services.note("agents", AgentsService(self.models))
        self.handler = agent_handler(services)
        self.sink = RecordingSink()

    async def ask(
        self, action: str, *, context: str | None = OWNER, client: str = "client-1", **content: Any
    ) -> Content:
        self.sink.sent.clear()
        caller = Caller(kind="script", client=client, session="s", context=context)
        body = {"action": action, **content}
        request = Request(id="1", msg_type="agent_request", content=body, caller=caller, sink=self.sink)
        return (await self.handler(request)).content


def test_execute_sends_progress_and_deltas_and_replies_with_the_whole_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        kernel = Kernel(tmp_path)
        created = (await kernel.ask("create", name="ada", model="mock/x", options={"temperature": 0}))["agent"]
        assert (created["name"], created["model"], created["provider"]) == ("ada", "mock/x", "mock")
        reply = await kernel.ask("execute", agent=created["id"], input="hi")
        assert kernel.sink.sent == [
            ("progress", {"phase": "prefill", "processed": 3, "total": 3, "eta_s": None}),
            ("delta", {"text": "echo "}),
            ("delta", {"text": "1: hi"}),
        ]
        assert reply["text"] == reply["message"]["content"] == "echo 1: hi"
        assert (reply["finish_reason"], reply["backend"]) == ("stop", "scripted")
        assert reply["usage"]["completion_tokens"] == 2
        assert kernel.models.asked[0].options.temperature == 0
        assert kernel.models.clients == ["client-1"]

    asyncio.run(scenario())


def test_an_agent_asks_for_its_device_and_its_drafts_in_every_turn_and_shows_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        kernel = Kernel(tmp_path)
        await kernel.ask("create", name="ada", model="mock/x", device="cpu", speculation="off")
        await kernel.ask("execute", agent="ada", input="hi")
        assert [(request.device, request.speculation) for request in kernel.models.asked] == [("cpu", "off")]
        shown = (await kernel.ask("info", agent="ada"))["agent"]
        assert (shown["device"], shown["speculation"]) == ("cpu", "off")

    asyncio.run(scenario())


def test_execute_without_stream_sends_no_deltas(tmp_path: Path) -> None:
    async def scenario() -> None:
        kernel = Kernel(tmp_path)
        await kernel.ask("create", name="ada", model="mock/x")
        await kernel.ask("execute", agent="ada", input="hi", stream=False)
        assert [kind for kind, _ in kernel.sink.sent] == ["progress"]
        assert not kernel.models.asked[0].stream

    asyncio.run(scenario())


def test_info_shows_the_conversation_reset_forgets_it_and_delete_ends_the_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        kernel = Kernel(tmp_path)
        await kernel.ask("create", name="ada", model="mock/x", options={"seed": 7})
        await kernel.ask("execute", agent="ada", input="hi")
        info = (await kernel.ask("info", agent="ada"))["agent"]
        assert info["history"] == [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "echo 1: hi"},
        ]
        assert info["options"] == {"seed": 7}
        assert (await kernel.ask("reset", agent="ada"))["removed"] == 2
        assert (await kernel.ask("info", agent="ada"))["agent"]["history"] == []
        assert (await kernel.ask("list"))["count"] == 1
        await kernel.ask("delete", agent="ada")
        assert (await kernel.ask("list"))["agents"] == []
        with pytest.raises(NotFound):
            await kernel.ask("execute", agent="ada", input="hi")

    asyncio.run(scenario())


def test_agents_of_a_client_without_context_belong_to_the_client(tmp_path: Path) -> None:
    async def scenario() -> None:
        kernel = Kernel(tmp_path)
        await kernel.ask("create", context=None, client="a", name="ada", model="mock/x")
        assert (await kernel.ask("list", context=None, client="a"))["count"] == 1
        assert (await kernel.ask("list", context=None, client="b"))["count"] == 0

    asyncio.run(scenario())

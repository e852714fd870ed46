"""Agents asked for over a socket: they remember what was said, and are their client's own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.cell import run_cell
from llmspell_kernel.services.graph import Services
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import BackendNotConfigured, ConfigError
from llmspell_protocol.standard_requests import ExecuteRequest
from tests.support.agent_handlers import agent_handler
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import RawSocket, raw_socket
from tests.support.recording_sink import RecordingSink
from tests.support.steering import wait_until


def agents(client: Client, action: str, **content: object) -> dict[str, object]:
    """The content of an agent_reply."""
    return client.request("agent_request", {"action": action, **content}).result(20).content


def test_an_agent_answers_in_deltas_remembers_and_is_seen_by_its_client_alone(kernel: KernelProcess) -> None:
    with kernel.client() as mine, kernel.client() as other:
        agents(mine, "create", name="ada", model="mock/m")
        pending = mine.request("agent_request", {"action": "execute", "agent": "ada", "input": "good day"})
        deltas = [event.content["text"] for event in pending]
        reply = pending.result().content
        assert len(deltas) > 1
        assert "".join(deltas) == reply["text"] == "[mock/m] good day"
        info = agents(mine, "info", agent="ada")["agent"]
        assert isinstance(info, dict)
        assert [turn["content"] for turn in info["history"]] == ["good day", "[mock/m] good day"]
        assert agents(other, "list")["agents"] == []


def test_the_agents_of_a_client_end_with_it_and_not_with_another(kernel: KernelProcess) -> None:
    def ask(raw: RawSocket, action: str, **content: object) -> dict[str, object]:
        request = raw.message("agent_request", {"action": action, **content})
        raw.send(request)
        return raw.reply_to(request).content

    with kernel.client() as observer:
        agents(observer, "create", name="eve", model="mock/m")
        with raw_socket(kernel.info, name="ada's client") as raw:
            ask(raw, "create", name="ada", model="mock/m")
            assert [agent["name"] for agent in listed(ask(raw, "list"))] == ["ada"]
        wait_until(observer, lambda status: status["clients"] == 1)
        with raw_socket(kernel.info, name="ada's client") as again:
            assert listed(ask(again, "list")) == []
        assert [agent["name"] for agent in listed(agents(observer, "list"))] == ["eve"]


def test_the_agents_of_a_script_end_with_its_context(home: Path) -> None:
    async def main() -> None:
        owners: list[str] = []

        def submit(request: Request) -> asyncio.Task[None]:
            async def answer() -> None:
                owners.append(owner_of(request.caller))
                reply = await agent_handler(services)(request)
                request.reply({"status": "ok", **reply.content})

            return asyncio.create_task(answer())

        services = Services(Settings, home, os.environ, submit)
        try:
            contexts = [services.contexts.open("isolated") for _ in range(2)]
            for context in contexts:
                script = Request("script", "execute_request", {}, Caller("client", "client"), RecordingSink())
                code = "Agent.builder():name('ada'):model('mock/m'):build()"
                await run_cell(context, script, ExecuteRequest(code=code))
            assert [len(services.agents.list(owner=owner)) for owner in owners] == [1, 1]
            services.contexts.end(contexts[0].id)
            assert [len(services.agents.list(owner=owner)) for owner in owners] == [0, 1]
        finally:
            await services.close()

    asyncio.run(main())


def listed(content: dict[str, object]) -> list[dict[str, object]]:
    """The agents in a reply to `list`."""
    found = content["agents"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "x@nobackend", "anthropic/x"])
def test_an_agent_whose_backend_can_not_be_used_is_not_built(kernel: KernelProcess, model: str) -> None:
    """A script wraps its build in pcall, and takes another model where that fails."""
    code = f"local built, why = pcall(function() return Agent.create{{model = '{model}'}} end) return {{built, why}}"
    with kernel.client() as client:
        options = {"llmspell": {"isolated": True}}
        reply = client.request("execute_request", {"code": code}, metadata=options).result(20).content
        assert reply["result"][0] is False
        assert ("not configured" if "@" in model else "has no API key") in reply["result"][1]
        with pytest.raises(BackendNotConfigured if "@" in model else ConfigError):
            agents(client, "create", model=model)
        assert agents(client, "list")["agents"] == []


def test_what_is_no_number_in_a_script_is_refused_and_not_forgotten(kernel: KernelProcess) -> None:
    code = """
    local told = {}
    for _, options in ipairs { {temperature = 0/0}, {seed = 1/0}, {max_tokens = -1/0}, {stop = {''}}, {seed = 2^70} } do
      options.model = 'mock/a'
      local built, why = pcall(Agent.create, options)
      told[#told + 1] = built and 'built' or string.match(why, 'options%.%a[%w_]*')
    end
    return told
    """
    with kernel.client() as client:
        reply = client.request("execute_request", {"code": code}, metadata={"llmspell": {"isolated": True}}).result(20)
    names = ("temperature", "seed", "max_tokens", "stop", "seed")
    assert reply.content["result"] == [f"options.{name}" for name in names]

"""Functions of scripts that say how agents answer together."""

from __future__ import annotations

from typing import NoReturn

import pytest

from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.composite import Composite
from llmspell_kernel.services.agents.hooked import AgentOccasions
from llmspell_kernel.services.agents.runs import AgentRuns
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.areas.agent import AgentCompose, AgentCreate, AgentExecute
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatChunk
from tests.support.function_bench import Bench, asking, bench
from tests.support.hook_bench import HookBench
from tests.support.scripted_models import ScriptedModels


def no_tools() -> NoReturn:
    """These agents have none."""
    raise AssertionError


def test_a_function_gets_the_input_and_the_names_and_returns_the_answer() -> None:
    async def body(bench: Bench) -> None:
        service = AgentsService(ScriptedModels())
        services = HookBench()
        occasions = AgentOccasions(services.services, services.event_service)
        runs = AgentRuns(service, no_tools, bench.scripts.contexts, Settings, occasions)
        members = [service.create(AgentCreate(name=name, type="basic"), owner="c") for name in ("a", "b")]

        async def made(function: str) -> Agent:
            composite = Composite(members=members, strategy="custom", function=await bench.offered(function))
            wanted = AgentCompose(name="both", agents=["a", "b"], strategy="custom")
            return service.compose(wanted, composite, owner="c")

        chunks: list[ChatChunk] = []
        wanted = AgentExecute(agent="both", input="hi")
        agent = await made("function(input, names) return input .. ' ' .. table.concat(names, '+') end")
        turn = await runs.run(asking(), agent, wanted, chunks.append)
        assert turn.result.message.content == "hi a+b"
        assert "".join(chunk.text for chunk in chunks) == "hi a+b"
        agent = await made("function() return {text = 'from a table'} end")
        assert (await runs.run(asking(), agent, wanted, chunks.append)).result.message.content == "from a table"
        agent = await made("function() return 7 end")
        with pytest.raises(InvalidRequest, match="returned no text"):
            await runs.run(asking(), agent, wanted, chunks.append)

    bench(body)

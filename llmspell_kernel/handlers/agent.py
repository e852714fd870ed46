"""`agent_request`: create · execute · list · info · reset · delete, translated for the agents service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmspell_kernel.context import Content, Reply, Request
from llmspell_kernel.identity import Caller
from llmspell_kernel.relay import relay
from llmspell_kernel.services.agents import Agent, AgentsService
from llmspell_kernel.validate import validate
from llmspell_protocol.models import ChatChunk, to_content
from llmspell_protocol.requests import AgentCreate, AgentExecute, AgentNamed


def owner_of(caller: Caller) -> str:
    """Whose agents a caller's are: a script's belong to its context, a client's to its connection."""
    return caller.context or caller.client


class AgentHandler:
    """Answers `agent_request`."""

    def __init__(self, agents: AgentsService) -> None:
        self._agents = agents

    async def __call__(self, request: Request) -> Reply:
        """The reply to one request.

        create `{agent}` · execute: deltas `{text}`, reply as of `model chat` with `text` beside `message` · list
        `{agents, count}` · info `{agent}` with `history` · reset `{agent, removed}` (messages forgotten) · delete
        `{agent}`.
        """
        wanted = validate(request)
        owner = owner_of(request.caller)
        match wanted:
            case AgentCreate():
                wanted = _with_default(wanted, request)
                return Reply({"agent": _summary(self._agents.create(wanted, owner=owner))})
            case AgentExecute():
                return await self._execute(request, wanted, owner)
            case AgentNamed(agent=name):
                return await self._about(request.action, self._agents.find(name, owner=owner))
        agents = [_summary(agent) for agent in self._agents.list(owner=owner)]
        return Reply({"agents": agents, "count": len(agents)})

    async def _about(self, action: str, agent: Agent) -> Reply:
        if action == "info":
            return Reply({"agent": _details(agent)})
        if action == "reset":
            return Reply({"agent": _summary(agent), "removed": await self._agents.reset(agent)})
        self._agents.delete(agent)
        return Reply({"agent": _summary(agent)})

    async def _execute(self, request: Request, wanted: AgentExecute, owner: str) -> Reply:
        def on_chunk(chunk: ChatChunk) -> None:
            relay(request, chunk, stream=wanted.stream)

        agent = self._agents.find(wanted.agent, owner=owner)
        result = await self._agents.execute(agent, wanted, client=request.caller.client, on_chunk=on_chunk)
        return Reply({"agent": _summary(agent), "text": result.message.content, **to_content(result)})


def _with_default(wanted: AgentCreate, request: Request) -> AgentCreate:
    """The model that whoever started all this has chosen for what names none (`metadata.llmspell.model`)."""
    model = request.root.wishes.get("model")
    if wanted.model is not None or wanted.provider is not None or not isinstance(model, str) or not model:
        return wanted
    return replace(wanted, model=model)


def _summary(agent: Agent) -> Content:
    return {
        "id": agent.id,
        "name": agent.name,
        "type": agent.type,
        "model": agent.model,
        "provider": agent.provider,
        "description": agent.description,
        "turns": agent.turns,
        "messages": len(agent.history),
        "busy": agent.busy,
        "created_at": agent.created_at,
    }


def _details(agent: Agent) -> Content:
    options: dict[str, Any] = {key: value for key, value in to_content(agent.options).items() if value is not None}
    return {
        **_summary(agent),
        "system_prompt": agent.system_prompt,
        "options": options,
        "schema": to_content(agent.schema),
        "device": agent.device,
        "max_conversation_length": agent.max_conversation_length,
        "max_execution_time_s": agent.max_execution_time_s,
        "history": [{"role": message.role, "content": message.content} for message in agent.history],
    }

"""Turns and lives of agents among hooks and events: what they are told of them, and what they may change."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.turn_result import TurnResult
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.given import given, listed
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_protocol.areas.agent import AgentCreate, AgentExecute
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError
from llmspell_protocol.models import ChatMessage, ChatResult, Timings, Usage

Made = TypeVar("Made")

_HOOK = "hook"
"""What stands as model and backend of an answer that a hook gave."""
_CHANGEABLE = ("name", "model", "description", "system_prompt", "tools")
"""What a hook may change of an agent that is to be made."""


class AgentOccasions:
    """The points and events of agents."""

    def __init__(self, hooks: HooksService, events: EventsService) -> None:
        self._hooks = hooks
        self._events = events

    async def around_turn(
        self,
        request: Request,
        agent: Agent,
        wanted: AgentExecute,
        do: Callable[[str, AgentExecute], Awaitable[TurnResult]],
    ) -> TurnResult:
        """One turn with the hooks around it; `do` gets the agent's name, which hooks may change, and what is asked."""

        def check(data: Mapping[str, Any]) -> None:
            given(AgentExecute, "execute", {"agent": data["agent"], "input": _text(data["input"])})

        async def work(data: Mapping[str, Any]) -> TurnResult:
            asked = wanted if data["input"] == wanted.input else replace(wanted, input=_text(data["input"]))
            return await self._told(request, agent.name, asked, lambda: do(str(data["agent"]), asked), _figures)

        return await self._hooks.around(
            request,
            HookedWork(
                before="BeforeAgentExecution",
                after="AfterAgentExecution",
                error="AgentError",
                component=Component("agent", agent.name),
                data={
                    "agent": agent.name,
                    "agent_id": agent.id,
                    "input": wanted.input,
                    "model": agent.model,
                    "parameters": wanted.parameters,
                    "context": wanted.context,
                },
                work=work,
                shown=lambda turn: turn.result.message.content,
                result_key="output",
                details=lambda turn: {"usage": to_content(turn.result.usage), "model": turn.result.model},
                made=given_turn,
                target="agent",
                check=check,
            ),
        )

    async def around_answer(
        self,
        request: Request,
        name: str,
        asked: ChatMessage,
        do: Callable[[str, str], Awaitable[tuple[TurnResult, Sequence[ChatMessage]]]],
    ) -> tuple[TurnResult, Sequence[ChatMessage]]:
        """The same over a conversation of the client's; `do` gets the model and the last message's text."""

        def check(data: Mapping[str, Any]) -> None:
            # What is redirected is another model, which stands where an agent's name would.
            given(AgentExecute, "execute", {"agent": data["model"], "input": _text(data["input"])})

        async def work(data: Mapping[str, Any]) -> tuple[TurnResult, Sequence[ChatMessage]]:
            text, model = _text(data["input"]), str(data["model"])
            wanted = AgentExecute(agent=name, input=text)
            return await self._told(request, name, wanted, lambda: do(model, text), lambda answer: _figures(answer[0]))

        def made(value: Any) -> tuple[TurnResult, Sequence[ChatMessage]]:
            turn = given_turn(value)
            return turn, (turn.result.message,)

        return await self._hooks.around(
            request,
            HookedWork(
                before="BeforeAgentExecution",
                after="AfterAgentExecution",
                error="AgentError",
                component=Component("agent", name),
                data={"agent": name, "input": asked.content, "model": name},
                work=work,
                shown=lambda answer: answer[0].result.message.content,
                result_key="output",
                details=lambda answer: {"usage": to_content(answer[0].result.usage), "model": answer[0].result.model},
                made=made,
                target="model",
                check=check,
            ),
        )

    async def around_init(
        self, request: Request, wanted: AgentCreate, do: Callable[[AgentCreate], Awaitable[Agent]]
    ) -> Agent:
        """The making of an agent; a hook may change some of its settings, or refuse it."""
        name = wanted.name or ""

        async def work(data: Mapping[str, Any]) -> Agent:
            return await do(_changed(wanted, data))

        return await self._hooks.around(
            request,
            HookedWork(
                before="BeforeAgentInit",
                after="AfterAgentInit",
                error="AgentError",
                component=Component("agent", name),
                data={key: getattr(wanted, key) for key in _CHANGEABLE} | {"type": wanted.type},
                work=work,
                shown=lambda agent: agent.name,
                result_key="agent",
                made=_no_agent,
                target="model",
                check=lambda data: _changed(wanted, data),
            ),
        )

    async def around_shutdown(self, request: Request, agent: Agent, do: Callable[[], None]) -> None:
        """The end of an agent that a request asks for; a hook may refuse it."""

        async def work(_data: Mapping[str, Any]) -> None:
            do()

        await self._hooks.around(
            request,
            HookedWork(
                before="BeforeAgentShutdown",
                after="AfterAgentShutdown",
                error=None,
                component=Component("agent", agent.name),
                data={"agent": agent.name, "agent_id": agent.id, "turns": agent.turns},
                work=work,
            ),
        )

    def ended(self, agent: Agent) -> None:
        """Tells hooks of the configuration of an agent that has ended with its script or client."""
        data = {"agent": agent.name, "agent_id": agent.id, "turns": agent.turns}
        for point in ("BeforeAgentShutdown", "AfterAgentShutdown"):
            self._hooks.notify(point, None, component=Component("agent", agent.name), data=data)

    async def _told(
        self,
        request: Request,
        name: str,
        wanted: AgentExecute,
        do: Callable[[], Awaitable[Made]],
        figures: Callable[[Made], Mapping[str, Any]],
    ) -> Made:
        events = self._events
        if not events.wanted("agent.started"):
            events.unheard(2)
            return await do()
        began = time.monotonic()
        told = {
            "component_name": name,
            "component_version": None,
            "input_text_length": len(wanted.input),
            "has_context": bool(wanted.context),
            "parameter_keys": sorted(wanted.parameters or ()),
            "session_id": request.root.caller.session or None,
            "conversation_id": None,
        }
        events.publish("agent.started", told, request=request, component=name)
        try:
            result = await do()
        except LlmspellError as problem:
            failed = {"component_name": name, "error": problem.message, "error_type": problem.code}
            timing = events.timing(time.monotonic() - began)
            events.publish("agent.failed", {**failed, **timing}, request=request, component=name)
            raise
        done = {"component_name": name, **figures(result), **events.timing(time.monotonic() - began)}
        events.publish("agent.completed", done, request=request, component=name)
        return result


def given_turn(value: Any) -> TurnResult:
    """A turn whose answer a hook gave: a text, or a table with it; None has no text.

    Raises:
        InvalidRequest: it is neither.
    """
    message = ChatMessage(role="assistant", content="" if value is None else _text(value))
    result = ChatResult(
        message=message, finish_reason="stop", usage=Usage(), timings=Timings(), model=_HOOK, backend=_HOOK
    )
    return TurnResult(result=result, tool_calls=(), tool_mode=None, limit=None, dropped=0, summarized=False)


def _figures(turn: TurnResult) -> Mapping[str, Any]:
    return {
        "output_text_length": len(turn.result.message.content),
        "has_tool_calls": bool(turn.tool_calls),
        "tool_call_count": len(turn.tool_calls),
        "confidence": None,
        "model_used": turn.result.model,
    }


def _changed(wanted: AgentCreate, data: Mapping[str, Any]) -> AgentCreate:
    """The agent as hooks want it made.

    Raises:
        InvalidRequest: what they gave is none.
    """
    left = {**data, "tools": listed(data["tools"])}
    changed = {key: left[key] for key in _CHANGEABLE if left[key] != getattr(wanted, key)}
    if not changed:
        return wanted
    valid = given(AgentCreate, "create", changed)
    return replace(wanted, **{key: getattr(valid, key) for key in changed})


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("text", "content", "prompt", "message") if key in value), None)
    if not isinstance(value, str):
        raise InvalidRequest("a hook returned something that is not a string as the input of an agent")
    return value


def _no_agent(_value: Any) -> Agent:
    raise Forbidden("Operation cancelled by hook: an agent can't be left out or replaced")

"""What a step does, by its type: a tool's call, an agent's turn, a function, a workflow. Knows no retries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from llmspell_kernel.parts import StepSink, followed, part_of
from llmspell_kernel.problem_words import said
from llmspell_kernel.request import Content
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.turn_result import has_answer
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.invocation import replied
from llmspell_kernel.services.workflows.definition import Step
from llmspell_kernel.services.workflows.names import Names, input_of
from llmspell_kernel.services.workflows.outcomes import FlowOutcome, Problem
from llmspell_kernel.services.workflows.place import Place, Undo
from llmspell_kernel.services.workflows.results import result_of
from llmspell_kernel.services.workflows.time_limits import time_limit
from llmspell_kernel.services.workflows.value_text import value_text
from llmspell_protocol.areas.agent import AgentCreate, AgentExecute
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatChunk, SamplingOptions

_TEXT_KEYS = ("text", "prompt", "input", "instruction", "message", "query")
_OPTIONS = frozenset(SamplingOptions.__dataclass_fields__)


class Done(NamedTuple):
    """What a step gave. `failed` is a failure; a function that only says `success = false` has none."""

    output: Any
    result: Any = None
    success: bool = True
    problem: Problem | None = None
    failed: bool = False
    inner: FlowOutcome | None = None
    undo: tuple[Undo, ...] = ()


async def done(step: Step, place: Place, given: Any) -> Done:
    """Does what the step is for with the input that it was `given`.

    Raises:
        Timeout: it took longer than the step may.
        LlmspellError: as what it calls.
    """
    if step.type == "tool":
        return await _tool(step, place, given)
    if step.type == "agent":
        return await _agent(step, place, given)
    if step.type == "custom":
        return await _custom(step, place, given)
    async with time_limit(step.timeout_s, f"Step '{step.name}'"):
        return await _nested(step, place, given)


# Tools


async def _tool(step: Step, place: Place, given: Any) -> Done:
    run, request, name = place.run, place.request, str(step.tool)
    if given is None or given == []:
        given = {}
    if isinstance(given, str):
        given = {"input": given}
    if not isinstance(given, Mapping):
        raise InvalidRequest("the input of a tool must be a table of its parameters")
    content = {"action": "invoke", "tool": name, "parameters": dict(given)}
    with part_of(
        request,
        content,
        msg_type="tool_request",
        sink=StepSink(request),
    ) as part:

        async def work(asked: Content) -> ToolInvokeReply:
            return await run.tools.invoke(
                part,
                str(asked["tool"]),
                asked["parameters"],
                run.tools.permissions(part),
                on_progress=lambda _message, _figures: None,
            )

        async with time_limit(step.timeout_s, f"Step '{step.name}'"):
            reply = await followed(part, work, shown=to_content, made=replied, step=place.step_name(step.name))
    run.keep(f"step:{name}:output", reply.output)
    problem = None if reply.error is None else Problem(reply.error.message, reply.error.code)
    return Done(
        output=reply.output,
        result=_tool_result(reply),
        success=reply.success,
        problem=problem,
        failed=not reply.success,
    )


def _tool_result(reply: ToolInvokeReply) -> dict[str, Any]:
    """The output table of scripting.md 1.5, as far as it is data."""
    content: dict[str, Any] = to_content(reply)
    for name in ("tool", "error"):
        del content[name]
    fields = content.pop("fields")
    took = round(reply.duration_ms)
    content |= {"duration_ms": took, "metadata": {**content["metadata"], "execution_time_ms": took}}
    if reply.error is not None:
        content["error"] = Problem(reply.error.message, reply.error.code).shown()
        del content["text"]
    return {**fields, **content}


# Agents


async def _agent(step: Step, place: Place, given: Any) -> Done:
    agent, is_own = _found_agent(place, step.agent)
    text, parameters, context = _agent_input(given, place)
    try:
        async with time_limit(step.timeout_s, f"Step '{step.name}'"):
            return await _turn(place, agent, step, text, parameters, context)
    finally:
        if is_own:
            place.run.agents.delete(agent)


async def _turn(
    place: Place,
    agent: Agent,
    step: Step | None,
    text: str,
    parameters: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Done:
    run, request = place.run, place.request
    named = agent.name if step is None or isinstance(step.agent, str) else step.name
    wanted = AgentExecute(agent=agent.id, input=text, parameters=parameters, context=context, stream=False)
    content: Content = {"action": "execute", "agent": named, "input": text}
    content |= {name: value for name, value in (("parameters", parameters), ("context", context)) if value}
    with part_of(
        request,
        content,
        msg_type="agent_request",
        sink=StepSink(request),
    ) as part:
        name = None if step is None else place.step_name(step.name)
        turn = await run.agent_runs.run_followed(part, agent, wanted, _unheard, step=name)
    answer = turn.result.message.content
    result = {
        "text": answer,
        "content": answer,
        "output": answer,
        "model": turn.result.model,
        "provider": turn.result.backend,
        "usage": to_content(turn.result.usage),
        "tool_calls": to_content(turn.tool_calls),
    }
    if not has_answer(turn.limit):
        problem = Problem(f"the turn of agent '{agent.name}' was ended by its {turn.limit}", str(turn.limit))
        return Done(output=None, result=result, success=False, problem=problem, failed=True)
    if step is not None:
        run.agent_outputs[named] = answer
        run.keep(f"agent:{named}:output", answer)
    return Done(output=answer, result=result)


def _unheard(_chunk: ChatChunk) -> None:
    """An agent's answer goes into the step's output."""


async def agent_text(place: Place, agent: str | Mapping[str, Any], prompt: Any) -> str:
    """What an agent answers to a condition's question."""
    found, is_own = _found_agent(place, agent)
    try:
        return value_text((await _turn(place, found, None, str(prompt))).output)
    finally:
        if is_own:
            place.run.agents.delete(found)


def _found_agent(place: Place, named: str | Mapping[str, Any] | None) -> tuple[Agent, bool]:
    """The agent, and whether it is this step's alone; one that the workflow describes is made at its first use."""
    run = place.run
    owner = owner_of(run.request.caller)
    if isinstance(named, str):
        described = place.definition.agents.get(named)
        if described is None:
            return run.agents.find(named, owner=owner), False
        made = run.made_agents.get(named)
        if made is None:
            made = run.made_agents[named] = run.agents.create(agent_settings({"name": named, **described}), owner=owner)
        return made, False
    return run.agents.create(agent_settings(named or {}), owner=owner), True


def agent_settings(given: Mapping[str, Any]) -> AgentCreate:
    """An agent that a workflow describes; sampling options may stand beside the other keys.

    Raises:
        InvalidRequest: there are keys that agents of workflows don't have, or values of another type.
    """
    fields = {
        key: value for key, value in given.items() if key in AgentCreate.__dataclass_fields__ and key != "options"
    }
    options = {key: value for key, value in given.items() if key in _OPTIONS}
    if isinstance(given.get("options"), Mapping):
        options = {**given["options"], **options}
    unknown = sorted(set(given) - set(fields) - _OPTIONS - {"options"})
    if unknown:
        # Needed for a misspelt key only.
        from difflib import get_close_matches

        meant = get_close_matches(unknown[0], [*AgentCreate.__dataclass_fields__, *_OPTIONS], n=1)
        hint = f"did you mean '{meant[0]}'?" if meant else None
        raise InvalidRequest(f"an agent has no setting '{unknown[0][:80]}'", hint=hint)
    # Few workflows describe their agents.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(AgentCreate).validate_python({**fields, "options": options})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"an agent's settings: {place} {said(first)}") from None


def _agent_input(given: Any, place: Place) -> tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Text, parameters and context: of the step, else the workflow's text, else the output before."""
    if isinstance(given, Mapping) and given:
        for key in _TEXT_KEYS:
            if isinstance(given.get(key), (str, int, float)) and given[key] != "":
                return value_text(given[key]), _table(given.get("parameters")), _table(given.get("context"))
        return json.dumps(given, ensure_ascii=False), None, None
    if given not in (None, "", {}, []):
        return value_text(given), None, None
    found, text = input_of(place.names.input, "text")
    if found and isinstance(text, str) and text:
        return text, None, None
    if place.names.previous is not None:
        return value_text(place.names.previous), None, None
    if isinstance(place.names.input, Mapping) and place.names.input:
        return json.dumps(place.names.input, ensure_ascii=False), None, None
    raise InvalidRequest("Agent input requires 'text' field")


def _table(given: Any) -> Mapping[str, Any] | None:
    return given if isinstance(given, Mapping) else None


# Functions


async def _custom(step: Step, place: Place, given: Any) -> Done:
    assert step.execute is not None
    more = {} if given is None else {"step_input": given, "parameters": given}
    said = await place.run.functions.call(
        step.execute,
        place,
        step=step.name,
        more=more,
        with_context=True,
        limit_s=step.timeout_s,
        what=f"Step '{step.name}'",
        is_step=True,
    )
    return said_by_function(said)


def said_by_function(said: Any) -> Done:
    """What a function's value means: a table may have `output` or `result`, `success` and `error`."""
    if not isinstance(said, Mapping):
        return Done(output=said, result=said)
    output = next((said[key] for key in ("output", "result") if said.get(key) is not None), None)
    if output is None and not set(said) & {"success", "error"}:
        output = said
    error = said.get("error")
    problem = None
    if said.get("success") is False or error is not None:
        text = error.get("message") if isinstance(error, Mapping) else error
        code = error.get("code") if isinstance(error, Mapping) else None
        problem = None if text is None else Problem(value_text(text), str(code or "failed"))
    return Done(output=output, result=said, success=said.get("success") is not False, problem=problem)


# Workflows


def _outcome(outcome: FlowOutcome) -> Content:
    """What is recorded of a workflow within another; one that failed has its error as a tool's reply has."""
    problem = None if outcome.success else outcome.problem
    error = None if problem is None else {"message": problem.message, "code": problem.code}
    return {"output": outcome.output, "success": outcome.success, "error": error}


async def _nested(step: Step, place: Place, given: Any) -> Done:
    run = place.run
    is_inline = step.type != "workflow" and step.workflow is None
    definition = step.inner
    shared = place.names.shared
    if step.workflow is not None:
        kept = run.find_workflow(step.workflow)
        definition, shared = kept.definition, kept.shared
    assert definition is not None
    names = place.names.inside()
    if given is not None:
        names.input = given
    if is_inline:
        shared.update({key: value for key, value in definition.shared.items() if key not in shared})
    else:
        own = dict(definition.shared) if step.workflow is None else shared
        base = definition.input if given is None and place.names.input is None else names.input
        names = Names(input=base, shared=own)
    inner = place.inside(step.name, undo=[])
    content = {"action": "execute", "workflow": step.workflow or definition.name or step.type, "input": names.input}
    with part_of(
        place.request,
        content,
        msg_type="workflow_request",
        sink=StepSink(place.request),
    ) as part:
        inner.request = part

        async def work(asked: Content) -> FlowOutcome:
            names.input = asked["input"]
            return await place.run_flow(definition, inner, names)

        outcome = await followed(part, work, shown=_outcome, step=place.step_name(step.name))
    return Done(
        output=outcome.output,
        result=result_of(outcome, run.id, agent_outputs=run.agent_outputs),
        success=outcome.success,
        problem=outcome.problem,
        failed=not outcome.success,
        inner=outcome,
        undo=tuple(inner.undo),
    )

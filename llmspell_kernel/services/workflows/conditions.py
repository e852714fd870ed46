"""Whether a condition holds at a place. A missing value compares as false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.services.workflows.acts import agent_text
from llmspell_kernel.services.workflows.definition import Condition
from llmspell_kernel.services.workflows.place import Place
from llmspell_kernel.services.workflows.value_text import value_text
from llmspell_protocol.errors import InvalidRequest


async def holds(
    condition: Condition | None, place: Place, *key: str, step: str | None = None, more: Mapping[str, Any] | None = None
) -> bool:
    """Whether it holds; None always does. With a `key` the answer is kept with the checkpoint under it.

    Raises:
        ScriptError: its function or expression fails.
        LlmspellError: the agent that it asks does.
    """
    if condition is None:
        return True
    if not key:
        return await _holds(condition, place, step, more or {})
    path = (*place.path, *key)
    known, value = place.run.journal.decided(path)
    if not known:
        value = await _holds(condition, place, step, more or {})
        place.run.journal.decide(path, value)
    return bool(value)


async def _holds(condition: Condition, place: Place, step: str | None, more: Mapping[str, Any]) -> bool:
    await place.run.pace.pause()
    type, fields = condition.type, condition.fields
    if type in ("always", "never"):
        return type == "always"
    if type == "custom":
        said = await place.run.functions.call(
            fields["evaluate"], place, step=step, more=more, with_context=True, what="the condition"
        )
        return _true(said)
    if type == "expression":
        variables = {**place.names.variables(), **more}
        return _true(await place.run.expressions.value(str(fields["expression"]), variables))
    if type == "not":
        return not await _holds(fields["condition"], place, step, more)
    if type in ("and", "or"):
        for one in fields["conditions"]:
            if await _holds(one, place, step, more) is (type == "or"):
                return type == "or"
        return type == "and"
    if type == "agent_evaluates_true":
        text = await agent_text(place, fields["agent"], fields["prompt"])
        return text.strip().lower().lstrip("*\"'").startswith(("yes", "true"))
    if type.startswith("step_output"):
        return _of_step(condition, place)
    return await _of_shared(condition, place)


def _true(value: Any) -> bool:
    """As Lua counts."""
    return value is not None and value is not False


def _of_step(condition: Condition, place: Place) -> bool:
    outcome = place.names.step(str(condition.fields["step_name"]))
    if outcome is None or outcome.skipped:
        return False
    if condition.type == "step_output_equals":
        wanted = condition.fields["value"]
        return bool(outcome.output == wanted) or value_text(outcome.output) == value_text(wanted)
    return str(condition.fields["substring"]) in value_text(outcome.output)


async def _of_shared(condition: Condition, place: Place) -> bool:
    key = str(condition.fields["key"])
    shared = place.names.shared
    found, value = (True, shared[key]) if key in shared else await place.run.state_value(key)
    if condition.type == "shared_data_exists":
        return found and value is not None
    if not found:
        return False
    wanted = condition.fields["value"]
    if condition.type == "shared_data_equals":
        return bool(value == wanted) and isinstance(value, bool) is isinstance(wanted, bool)
    if not _comparable(value, wanted):
        raise InvalidRequest(
            f"condition {condition.type}: '{key}' is {value_text(value)[:40]}, which can't be compared"
        )
    return bool(value > wanted) if condition.type == "shared_data_greater_than" else bool(value < wanted)


def _comparable(value: Any, other: Any) -> bool:
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (value, other))
    return numbers or all(isinstance(one, str) for one in (value, other))

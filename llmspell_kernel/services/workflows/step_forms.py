"""From what a script or a file says to steps: every form of a step ends as one. Knows no branches and no loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.scripting.function_key import FUNCTION_KEY
from llmspell_kernel.services.workflows.condition_forms import condition_of
from llmspell_kernel.services.workflows.definition import (
    DEFAULT_TIMEOUT_S,
    KINDS,
    STEP_TYPES,
    Condition,
    Definition,
    Kind,
    Retry,
    Step,
    StepType,
    Strategy,
)
from llmspell_kernel.services.workflows.misspelt import demand_no_misspelt
from llmspell_kernel.services.workflows.raw_values import (
    first,
    items,
    needed_text,
    number,
    seconds,
    strategy_of,
    table,
    text,
    truth,
    whole,
)
from llmspell_protocol.errors import InvalidRequest

FunctionOf = Callable[[Mapping[str, Any]], ScriptFunction]
"""The function that `{"$fn": n}` stands for; raises where the caller can have none."""

MAX_STEPS = 10_000
MAX_CONDITIONS = 10_000
MAX_BRANCHES = 10_000

_STEP_CALLBACKS = (
    "before_execute",
    "after_execute",
    "on_complete",
    "on_error",
    "on_retry",
    "trace",
    "compensate",
    "setup",
)
_BY_KEY: tuple[tuple[str, StepType], ...] = (
    ("tool", "tool"),
    ("agent", "agent"),
    ("execute", "custom"),
    ("func", "custom"),
    ("handler", "custom"),
    ("fn", "custom"),
    ("workflow", "workflow"),
)


class DefinitionOf(Protocol):
    """Reads a workflow that stands in a step."""

    def __call__(self, raw: Mapping[str, Any], *, depth: int, kind: Kind | None = None) -> Definition:
        """The workflow; `depth` is how deep it is nested."""


class StepForms:
    """Reads the steps of one definition, those of nested workflows included."""

    def __init__(self, function_of: FunctionOf, definition_of: DefinitionOf) -> None:
        self.function_of = function_of
        self._definition_of = definition_of
        self._counts: Counter[str] = Counter()

    def steps(self, given: Any, where: str, depth: int) -> Sequence[Step]:
        """A list of steps, or one."""
        one = isinstance(given, Mapping) and bool(given)
        listed = [given] if one else items(given, f"{where}: steps")
        found = [self.step(raw, at, where, depth) for at, raw in enumerate(listed, 1)]
        seen: set[str] = set()
        for step in found:
            if step.name in seen:
                raise InvalidRequest(f"{where}: there are two steps with the name '{step.name}'")
            seen.add(step.name)
        return found

    def step(self, raw: Any, number: int, where: str, depth: int) -> Step:
        """One step; `number` is its place, which names one that has no name."""
        self.counted("steps", MAX_STEPS)
        if not isinstance(raw, Mapping):
            raise InvalidRequest(f"{where}: step {number} must be a table")
        name = text(raw, "name") or f"step_{number}"
        inside = f"step '{name}'"
        demand_no_misspelt(raw, inside)
        type = self._type(raw, name)
        strategy = None if raw.get("error_strategy") is None else strategy_of(raw["error_strategy"], inside)
        return Step(
            name=name,
            type=type,
            input=self._input(raw, inside),
            timeout_s=self._timeout(raw, type, inside),
            retry=self._retry(raw, None if type in KINDS else strategy, inside),
            condition=self.condition(self._own_condition(raw, type), inside),
            skip_if=self.condition(raw.get("skip_if"), inside),
            continues=self._continues(raw, strategy, inside, is_nested=type in KINDS),
            optional=raw.get("optional") is True or raw.get("required") is False,
            callbacks=self.callbacks(raw, _STEP_CALLBACKS, inside),
            metadata=table(raw.get("metadata"), f"{inside}: metadata"),
            **self._what(raw, type, inside, depth),
        )

    @staticmethod
    def _own_condition(raw: Mapping[str, Any], type: StepType) -> Any:
        """What says whether the step runs; `condition` of a loop or of branches that stand here is theirs."""
        of_what_is_nested = type in ("conditional", "loop") and raw.get("workflow") is None
        return raw.get("when") if of_what_is_nested else first(raw, "condition", "when")

    def _type(self, raw: Mapping[str, Any], name: str) -> StepType:
        given = raw.get("type")
        if given == "function":
            return "custom"
        if given is None:
            for key, type in _BY_KEY:
                if raw.get(key) is not None:
                    return type
            raise InvalidRequest(f"step '{name}' has no type", hint=f"type: one of {', '.join(STEP_TYPES)}")
        for known in STEP_TYPES:
            if given == known:
                return known
        raise InvalidRequest(f"Unknown step type: '{given}'. Supported types: {', '.join(STEP_TYPES)}")

    def _what(self, raw: Mapping[str, Any], type: StepType, where: str, depth: int) -> dict[str, Any]:
        if type == "tool":
            return {"tool": needed_text(raw, "tool", where)}
        if type == "agent":
            agent = raw.get("agent")
            if not isinstance(agent, (str, Mapping)) or not agent:
                raise InvalidRequest(f"{where}: an agent step needs 'agent', a name or its settings")
            return {"agent": agent}
        if type == "custom":
            function = first(raw, "execute", "func", "handler", "fn")
            if not self.is_function(function):
                raise InvalidRequest(f"{where}: a custom step needs 'execute', a function")
            return {"execute": self.function_of(function)}
        given = raw.get("workflow")
        if type == "workflow" or given is not None:
            if isinstance(given, str) and given:
                return {"workflow": given}
            if isinstance(given, Mapping):
                return {"inner": self._definition_of(given, depth=depth + 1)}
            raise InvalidRequest(f"{where}: a workflow step needs 'workflow', a name or a workflow")
        kind = next(one for one in KINDS if one == type)
        own = {key: value for key, value in raw.items() if key not in _OF_THE_STEP}
        return {"inner": self._definition_of({**own, "name": raw.get("name") or kind}, depth=depth + 1, kind=kind)}

    def _input(self, raw: Mapping[str, Any], where: str) -> Any:
        given = first(raw, "input", "parameters", "params")
        if self.is_function(given):
            return self.function_of(given)
        if raw.get("input") is not None and isinstance(raw.get("parameters"), Mapping) and isinstance(given, str):
            # An agent's text, and what is to be known beside it.
            return {"text": given, "parameters": raw["parameters"]}
        return given

    def _timeout(self, raw: Mapping[str, Any], type: StepType, where: str) -> float | None:
        if raw.get("timeout_ms") is not None:
            return seconds(raw["timeout_ms"], f"{where}: timeout_ms")
        return DEFAULT_TIMEOUT_S if type in ("tool", "custom") else None

    def _retry(self, raw: Mapping[str, Any], strategy: Strategy | None, where: str) -> Retry | None:
        count = first(raw, "retry_count", "max_retries", "retries")
        if count is None:
            return None if strategy is None else strategy.retry
        again = whole(count, 0, 0, 1000, f"{where}: retries")
        delay = raw.get("retry_delay_ms")
        if delay is None:
            return Retry(attempts=1 + again)
        return Retry(attempts=1 + again, backoff_ms=number(delay, f"{where}: retry_delay_ms"))

    def _continues(
        self, raw: Mapping[str, Any], strategy: Strategy | None, where: str, *, is_nested: bool
    ) -> bool | None:
        """Whether the workflow around goes on; what is nested has its strategy for itself, unless that goes on."""
        for key, wanted in (("continue_on_error", True), ("optional", True), ("required", False)):
            given = truth(raw.get(key), f"{where}: {key}")
            if given is not None:
                return given is wanted
        if strategy is None or strategy.retry is not None or (is_nested and not strategy.continues):
            return None
        return strategy.continues

    def condition(self, given: Any, where: str) -> Condition | None:
        """A condition in any of its forms."""
        if given is None:
            return None
        return condition_of(given, where, self.function_of, lambda: self.counted("conditions", MAX_CONDITIONS))

    def counted(self, what: str, most: int) -> None:
        """Counts one more of what a workflow has, nested ones included; raises `InvalidRequest` beyond the most."""
        self._counts[what] += 1
        if self._counts[what] > most:
            raise InvalidRequest(f"a workflow has {most} {what} at most")

    def callbacks(self, raw: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, ScriptFunction]:
        """The functions under these keys."""
        found = {}
        for name in names:
            given = raw.get(name)
            if given is None:
                continue
            if not self.is_function(given):
                raise InvalidRequest(f"{where}: {name} must be a function")
            found[name] = self.function_of(given)
        return found

    @staticmethod
    def is_function(value: Any) -> bool:
        """Whether a value stands for a function."""
        return isinstance(value, Mapping) and FUNCTION_KEY in value


_OF_THE_STEP = frozenset(
    {
        "type",
        "workflow",
        "when",
        "skip_if",
        "timeout_ms",
        "retry_count",
        "max_retries",
        "retries",
        "retry_delay_ms",
        "continue_on_error",
        "required",
        "optional",
        "metadata",
        "before_execute",
        "after_execute",
        "on_complete",
        "on_error",
        "on_retry",
        "setup",
        "trace",
        "compensate",
        "input",
        "parameters",
        "params",
    }
)
"""Keys of a nested step that say how the step is run, not what is nested."""

"""From what a script or a file says to a definition: every form of both dialects ends as one. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from llmspell_kernel.scripting.contexts import FUNCTION_KEY, ScriptFunction
from llmspell_kernel.services.workflows.condition_forms import condition_of
from llmspell_kernel.services.workflows.definition import (
    DEFAULT_CONCURRENCY,
    DEFAULT_ITERATIONS,
    DEFAULT_TIMEOUT_S,
    KINDS,
    STEP_TYPES,
    Branch,
    Condition,
    Definition,
    Iterator,
    Kind,
    Retry,
    Step,
    StepType,
    Strategy,
)
from llmspell_protocol.errors import InvalidRequest

FunctionOf = Callable[[Mapping[str, Any]], ScriptFunction]
"""The function that `{"$fn": n}` stands for; raises where the caller can have none."""

MAX_DEPTH = 32
MAX_STEPS = 10_000
MAX_CONCURRENCY = 64

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
_CALLBACKS = (
    "on_start",
    "on_error",
    "on_timeout",
    "on_complete",
    "on_step_start",
    "on_step_complete",
    "on_iteration_complete",
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


def parse(raw: Mapping[str, Any], function_of: FunctionOf) -> Definition:
    """A definition.

    Raises:
        InvalidRequest: it makes no sense; the text names the step.
        Forbidden: it has functions, and comes from no script.
    """
    return _Parser(function_of).definition(raw, depth=0)


class _Parser:
    def __init__(self, function_of: FunctionOf) -> None:
        self._function_of = function_of
        self._steps = 0

    # Workflows

    def definition(self, raw: Mapping[str, Any], *, depth: int, kind: Kind | None = None) -> Definition:
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"workflows are nested deeper than {MAX_DEPTH}")
        given = kind or raw.get("type")
        if given is None:
            raise InvalidRequest("Workflow type not specified", hint=f"type: one of {', '.join(KINDS)}")
        if given not in KINDS:
            raise InvalidRequest(f"Unknown workflow type: '{given}'. Supported types: {', '.join(KINDS)}")
        name = _text(raw, "name") or f"{given}_workflow"
        where = f"workflow '{name}'"
        common: dict[str, Any] = {
            "kind": given,
            "name": name,
            "description": _text(raw, "description") or "",
            "dialect": "builder" if raw.get("dialect") == "builder" else "table",
            "strategy": _strategy(raw.get("error_strategy"), where),
            "timeout_s": _seconds(raw.get("timeout_ms"), f"{where}: timeout_ms"),
            "pre_condition": self._condition(raw.get("pre_condition"), where),
            "input": raw.get("input"),
            "shared": _table(raw.get("shared_data"), f"{where}: shared_data"),
            "callbacks": self._callbacks(raw, _CALLBACKS, where),
            "checkpoint": _truth(raw.get("checkpoint"), f"{where}: checkpoint") or False,
            "agents": _table(raw.get("agents"), f"{where}: agents"),
        }
        build = {
            "sequential": self._sequential,
            "parallel": self._parallel,
            "conditional": self._conditional,
            "loop": self._loop,
        }[given]
        return Definition(**common, **build(raw, where, depth))

    def _sequential(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        return {"steps": self._list_of_steps(raw.get("steps"), where, depth)}

    def _parallel(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        branches = [self._branch(one, at, where, depth) for at, one in enumerate(_list(raw.get("branches")), 1)]
        steps = self._list_of_steps(raw.get("steps"), where, depth)
        branches += [Branch(name=step.name, steps=[step], required=not step.optional) for step in steps]
        return {
            "branches": _with_own_names(branches),
            "post_steps": self._list_of_steps(raw.get("post_steps"), where, depth),
            "max_concurrency": _whole(
                raw.get("max_concurrency"), DEFAULT_CONCURRENCY, 1, MAX_CONCURRENCY, f"{where}: max_concurrency"
            ),
            "fail_fast": _truth(raw.get("fail_fast"), f"{where}: fail_fast"),
            "success_criteria": self._criteria(raw.get("success_criteria"), where),
        }

    def _conditional(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        branches = [self._branch(one, at, where, depth) for at, one in enumerate(_list(raw.get("branches")), 1)]
        default = self._default(raw, where, depth)
        if raw.get("condition") is not None or raw.get("then_branch") is not None:
            condition = self._condition(raw.get("condition"), where) or Condition(type="always")
            branches.insert(0, self._steps_branch("then", raw.get("then_branch"), where, depth, condition))
            if raw.get("else_branch") is not None:
                default = self._steps_branch("else", raw.get("else_branch"), where, depth)
        return {
            "steps": self._list_of_steps(raw.get("pre_steps", raw.get("steps")), where, depth),
            "branches": _with_own_names(branches),
            "default": default,
            "all_matching": _truth(raw.get("execute_all_matching"), f"{where}: execute_all_matching") or False,
            "default_on_no_match": _truth(
                raw.get("execute_default_on_no_match"), f"{where}: execute_default_on_no_match"
            )
            is not False,
        }

    def _loop(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        body = raw.get("body", raw.get("steps"))
        aggregation = raw.get("aggregation_strategy") or "collect_all"
        if aggregation not in ("collect_all", "collect_outputs"):
            raise InvalidRequest(
                f"{where}: aggregation_strategy is '{aggregation}', not collect_all or collect_outputs"
            )
        iterator, limit = self._iterator(raw, where)
        given = limit if raw.get("max_iterations") is None else raw.get("max_iterations")
        return {
            "steps": self._list_of_steps(body, where, depth),
            "iterator": iterator,
            "condition": self._condition(raw.get("condition"), where),
            "max_iterations": _whole(given, DEFAULT_ITERATIONS, 1, 1_000_000, f"{where}: max_iterations"),
            "initial_state": _table(raw.get("initial_state"), f"{where}: initial_state"),
            "state_update": self._state_update(raw.get("state_update"), where),
            "break_condition": self._condition(raw.get("break_condition"), where),
            "continue_condition": self._condition(raw.get("continue_condition"), where),
            "aggregation": aggregation,
        }

    def _iterator(self, raw: Mapping[str, Any], where: str) -> tuple[Iterator, Any]:
        """What it goes over, and the limit of rounds that stands with it."""
        given = raw.get("iterator")
        table: dict[str, Any] = dict(_table(given, f"{where}: iterator"))
        for name, key in (("range", "range"), ("collection", "collection"), ("items", "collection")):
            if raw.get(name) is not None:
                table.setdefault(key, raw[name])
        limit = table.get("max_iterations")
        if table.get("range") is not None:
            return self._range(table["range"], where), limit
        if table.get("collection") is not None:
            return Iterator(type="collection", collection=self._collection(table["collection"], where)), limit
        condition = self._condition(table.get("while_condition"), where)
        if condition is None and raw.get("condition") is None and raw.get("max_iterations", limit) is None:
            raise InvalidRequest(f"{where}: a loop needs a range, a collection or a condition")
        return Iterator(type="while", condition=condition), limit

    def _range(self, given: Any, where: str) -> Iterator:
        names = ("start", "end", "step")
        table = given if isinstance(given, Mapping) else dict(zip(names, _list(given), strict=False))
        numbers: dict[str, float] = {}
        for name, default in (("start", 1), ("end", None), ("step", 1)):
            value = table.get(name, default)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InvalidRequest(f"{where}: range needs a number as '{name}'")
            numbers[name] = value
        if numbers["step"] == 0:
            raise InvalidRequest(f"{where}: Range configuration will not iterate (step is 0)")
        return Iterator(
            type="range",
            start=numbers["start"],
            end=numbers["end"],
            step=numbers["step"],
            exclusive=bool(table.get("exclusive")),
        )

    def _collection(self, given: Any, where: str) -> Sequence[Any] | ScriptFunction | str:
        if self._is_function(given):
            return self._function_of(given)
        if isinstance(given, (str, list, tuple)) or given == {}:
            return given if isinstance(given, str) else _list(given)
        raise InvalidRequest(f"{where}: a collection is a list, a function or a placeholder")

    def _state_update(self, given: Any, where: str) -> str | ScriptFunction | None:
        if given is None or isinstance(given, str):
            return given
        if self._is_function(given):
            return self._function_of(given)
        raise InvalidRequest(f"{where}: state_update is a text or a function")

    def _criteria(self, given: Any, where: str) -> Literal["all", "any"] | ScriptFunction:
        if self._is_function(given):
            return self._function_of(given)
        if given in (None, "all"):
            return "all"
        if given == "any":
            return "any"
        raise InvalidRequest(f"{where}: success_criteria is '{given}', not all, any or a function")

    # Branches

    def _branch(self, raw: Any, number: int, where: str, depth: int) -> Branch:
        if not isinstance(raw, Mapping):
            raise InvalidRequest(f"{where}: branch {number} is no table")
        name = _text(raw, "name") or f"branch_{number}"
        inside = f"{where}, branch '{name}'"
        steps = self._list_of_steps(raw.get("steps"), inside, depth)
        if raw.get("workflow") is not None:
            steps = [*steps, self._step({"name": name, "workflow": raw["workflow"]}, 1, inside, depth)]
        optional = _truth(raw.get("optional"), f"{inside}: optional")
        required = _truth(raw.get("required"), f"{inside}: required")
        return Branch(
            name=name,
            steps=steps,
            condition=self._condition(raw.get("condition"), inside),
            required=(not optional) if required is None else required,
        )

    def _steps_branch(
        self, name: str, given: Any, where: str, depth: int, condition: Condition | None = None
    ) -> Branch:
        if isinstance(given, Mapping) and ("steps" in given or "workflow" in given) and "type" not in given:
            branch = self._branch({**given, "name": name}, 1, where, depth)
            return Branch(name=name, steps=branch.steps, condition=condition)
        return Branch(
            name=name, steps=self._list_of_steps(given, f"{where}, branch '{name}'", depth), condition=condition
        )

    def _default(self, raw: Mapping[str, Any], where: str, depth: int) -> Branch | None:
        given = raw.get("default_branch", raw.get("default"))
        if given is None:
            return None
        name = _text(given, "name") if isinstance(given, Mapping) and "steps" in given else None
        branch = self._steps_branch("default", given, where, depth)
        return Branch(name=name or "default", steps=branch.steps)

    # Steps

    def _list_of_steps(self, given: Any, where: str, depth: int) -> Sequence[Step]:
        """A list of steps, or one."""
        one = isinstance(given, Mapping) and bool(given)
        found = [self._step(raw, at, where, depth) for at, raw in enumerate([given] if one else _list(given), 1)]
        seen: set[str] = set()
        for step in found:
            if step.name in seen:
                raise InvalidRequest(f"{where}: there are two steps with the name '{step.name}'")
            seen.add(step.name)
        return found

    def _step(self, raw: Any, number: int, where: str, depth: int) -> Step:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise InvalidRequest(f"a workflow has {MAX_STEPS} steps at most")
        if not isinstance(raw, Mapping):
            raise InvalidRequest(f"{where}: step {number} is no table")
        name = _text(raw, "name") or f"step_{number}"
        inside = f"step '{name}'"
        type = self._type(raw, name)
        strategy = None if raw.get("error_strategy") is None else _strategy(raw["error_strategy"], inside)
        return Step(
            name=name,
            type=type,
            input=self._input(raw, inside),
            timeout_s=self._timeout(raw, type, inside),
            retry=self._retry(raw, None if type in KINDS else strategy, inside),
            condition=self._condition(self._own_condition(raw, type), inside),
            skip_if=self._condition(raw.get("skip_if"), inside),
            continues=self._continues(raw, strategy, inside, is_nested=type in KINDS),
            optional=raw.get("optional") is True or raw.get("required") is False,
            callbacks=self._callbacks(raw, _STEP_CALLBACKS, inside),
            metadata=_table(raw.get("metadata"), f"{inside}: metadata"),
            **self._what(raw, type, inside, depth),
        )

    @staticmethod
    def _own_condition(raw: Mapping[str, Any], type: StepType) -> Any:
        """What says whether the step runs; `condition` of a loop or of branches that stand here is theirs."""
        of_what_is_nested = type in ("conditional", "loop") and raw.get("workflow") is None
        return raw.get("when") if of_what_is_nested else _first(raw, "condition", "when")

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
            return {"tool": _needed(raw, "tool", where)}
        if type == "agent":
            agent = raw.get("agent")
            if not isinstance(agent, (str, Mapping)) or not agent:
                raise InvalidRequest(f"{where}: an agent's step needs 'agent', a name or its settings")
            return {"agent": agent}
        if type == "custom":
            function = _first(raw, "execute", "func", "handler", "fn")
            if not self._is_function(function):
                raise InvalidRequest(f"{where}: a custom step needs 'execute', a function")
            return {"execute": self._function_of(function)}
        given = raw.get("workflow")
        if type == "workflow" or given is not None:
            if isinstance(given, str) and given:
                return {"workflow": given}
            if isinstance(given, Mapping):
                return {"inner": self.definition(given, depth=depth + 1)}
            raise InvalidRequest(f"{where}: a workflow's step needs 'workflow', a name or a workflow")
        kind = next(one for one in KINDS if one == type)
        own = {key: value for key, value in raw.items() if key not in _OF_THE_STEP}
        return {"inner": self.definition({**own, "name": raw.get("name") or kind}, depth=depth + 1, kind=kind)}

    def _input(self, raw: Mapping[str, Any], where: str) -> Any:
        given = _first(raw, "input", "parameters", "params")
        if self._is_function(given):
            return self._function_of(given)
        if raw.get("input") is not None and isinstance(raw.get("parameters"), Mapping) and isinstance(given, str):
            # An agent's text, and what is to be known beside it.
            return {"text": given, "parameters": raw["parameters"]}
        return given

    def _timeout(self, raw: Mapping[str, Any], type: StepType, where: str) -> float | None:
        if raw.get("timeout_ms") is not None:
            return _seconds(raw["timeout_ms"], f"{where}: timeout_ms")
        return DEFAULT_TIMEOUT_S if type in ("tool", "custom") else None

    def _retry(self, raw: Mapping[str, Any], strategy: Strategy | None, where: str) -> Retry | None:
        count = _first(raw, "retry_count", "max_retries", "retries")
        if count is None:
            return None if strategy is None else strategy.retry
        again = _whole(count, 0, 0, 1000, f"{where}: retries")
        delay = raw.get("retry_delay_ms")
        if delay is None:
            return Retry(attempts=1 + again)
        return Retry(attempts=1 + again, backoff_ms=_number(delay, f"{where}: retry_delay_ms"))

    def _continues(
        self, raw: Mapping[str, Any], strategy: Strategy | None, where: str, *, is_nested: bool
    ) -> bool | None:
        """Whether the workflow around goes on; what is nested has its strategy for itself, unless that goes on."""
        for key, wanted in (("continue_on_error", True), ("optional", True), ("required", False)):
            given = _truth(raw.get(key), f"{where}: {key}")
            if given is not None:
                return given is wanted
        if strategy is None or strategy.retry is not None or (is_nested and not strategy.continues):
            return None
        return strategy.continues

    # Values

    def _condition(self, given: Any, where: str) -> Condition | None:
        return None if given is None else condition_of(given, where, self._function_of)

    def _callbacks(self, raw: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, ScriptFunction]:
        found = {}
        for name in names:
            given = raw.get(name)
            if given is None:
                continue
            if not self._is_function(given):
                raise InvalidRequest(f"{where}: {name} is no function")
            found[name] = self._function_of(given)
        return found

    @staticmethod
    def _is_function(value: Any) -> bool:
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


def _with_own_names(branches: Sequence[Branch]) -> Sequence[Branch]:
    names: set[str] = set()
    for branch in branches:
        if branch.name in names:
            raise InvalidRequest(f"there are two branches with the name '{branch.name}'")
        names.add(branch.name)
    return branches


def _strategy(given: Any, where: str) -> Strategy:
    if isinstance(given, str):
        given = {"type": given}
    if given is None:
        return Strategy()
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{where}: error_strategy is a text or a table")
    kind = given.get("type")
    if kind in ("fail_fast", "stop"):
        return Strategy()
    if kind == "continue":
        return Strategy(continues=True)
    if kind != "retry":
        raise InvalidRequest(f"{where}: error_strategy is '{kind}', not fail_fast, continue or retry")
    plain = Retry(multiplier=1) if set(given) == {"type"} else Retry()
    return Strategy(
        retry=Retry(
            attempts=_whole(given.get("max_attempts"), plain.attempts, 1, 1000, f"{where}: max_attempts"),
            backoff_ms=_number(given.get("backoff_ms", plain.backoff_ms), f"{where}: backoff_ms"),
            multiplier=_number(given.get("backoff_multiplier", plain.multiplier), f"{where}: backoff_multiplier"),
            jitter=_truth(given.get("jitter"), f"{where}: jitter") is not False,
        )
    )


def _first(raw: Mapping[str, Any], *names: str) -> Any:
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"{key} is no text")


def _needed(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if isinstance(value, str) and value:
        return value
    raise InvalidRequest(f"{where} needs '{key}', a name")


def _list(given: Any) -> Sequence[Any]:
    """A list; a script's empty table may come as an object."""
    if isinstance(given, (list, tuple)):
        return given
    if given is None or given == {}:
        return []
    raise InvalidRequest("a list is needed where there is something else")


def _table(given: Any, where: str) -> Mapping[str, Any]:
    if given is None or given == []:
        return {}
    if isinstance(given, Mapping):
        return given
    raise InvalidRequest(f"{where} is no table")


def _truth(given: Any, where: str) -> bool | None:
    if given is None or isinstance(given, bool):
        return given
    raise InvalidRequest(f"{where} is neither true nor false")


def _number(given: Any, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given >= 0:
        raise InvalidRequest(f"{where} is no number from 0 on")
    return given


def _seconds(given: Any, where: str) -> float | None:
    if given is None:
        return None
    milliseconds = _number(given, where)
    if milliseconds == 0:
        raise InvalidRequest(f"{where} is 0")
    return milliseconds / 1000


def _whole(given: Any, default: int, least: int, most: int, where: str) -> int:
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given != int(given):
        raise InvalidRequest(f"{where} is no whole number")
    if not least <= given <= most:
        raise InvalidRequest(f"{where} is {given:g}, not {least} to {most}")
    return int(given)

"""From what a script or a file says to a definition: every form of both dialects ends as one. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.services.workflows.definition import (
    DEFAULT_CONCURRENCY,
    DEFAULT_ITERATIONS,
    KINDS,
    Branch,
    Condition,
    Definition,
    Iterator,
    Kind,
)
from llmspell_kernel.services.workflows.misspelt import demand_no_misspelt
from llmspell_kernel.services.workflows.raw_values import items, seconds, strategy_of, table, text, truth, whole
from llmspell_kernel.services.workflows.step_forms import MAX_BRANCHES, FunctionOf, StepForms
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.numbers import is_number

MAX_DEPTH = 32
MAX_CONCURRENCY = 64
MAX_RANGE = 2**53
"""Values of a range; a loop of it ends at its `max_iterations`, and what counts them is carried everywhere."""

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


def parse(raw: Mapping[str, Any], function_of: FunctionOf) -> Definition:
    """A definition.

    Raises:
        InvalidRequest: it makes no sense; the text names the step.
        Forbidden: it has functions, and comes from no script.
    """
    return _Parser(function_of).definition(raw, depth=0)


class _Parser:
    def __init__(self, function_of: FunctionOf) -> None:
        self._forms = StepForms(function_of, self.definition)

    # Workflows

    def definition(self, raw: Mapping[str, Any], *, depth: int, kind: Kind | None = None) -> Definition:
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"workflows are nested deeper than {MAX_DEPTH}")
        given = kind or raw.get("type")
        if given is None:
            raise InvalidRequest("Workflow type not specified", hint=f"type: one of {', '.join(KINDS)}")
        if given not in KINDS:
            raise InvalidRequest(f"Unknown workflow type: '{given}'. Supported types: {', '.join(KINDS)}")
        name = text(raw, "name") or f"{given}_workflow"
        where = f"workflow '{name}'"
        demand_no_misspelt(raw, where)
        common: dict[str, Any] = {
            "kind": given,
            "name": name,
            "description": text(raw, "description") or "",
            "dialect": "builder" if raw.get("dialect") == "builder" else "table",
            "strategy": strategy_of(raw.get("error_strategy"), where),
            "timeout_s": seconds(raw.get("timeout_ms"), f"{where}: timeout_ms"),
            "pre_condition": self._forms.condition(raw.get("pre_condition"), where),
            "input": raw.get("input"),
            "shared": table(raw.get("shared_data"), f"{where}: shared_data"),
            "callbacks": self._forms.callbacks(raw, _CALLBACKS, where),
            "checkpoint": truth(raw.get("checkpoint"), f"{where}: checkpoint") or False,
            "agents": self._agents(raw.get("agents"), where),
        }
        build = {
            "sequential": self._sequential,
            "parallel": self._parallel,
            "conditional": self._conditional,
            "loop": self._loop,
        }[given]
        return Definition(**common, **build(raw, where, depth))

    @staticmethod
    def _agents(given: Any, where: str) -> Mapping[str, Mapping[str, Any]]:
        agents = table(given, f"{where}: agents")
        return {name: table(one, f"{where}: agent '{name}'") for name, one in agents.items()}

    def _sequential(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        return {"steps": self._forms.steps(raw.get("steps"), where, depth)}

    def _parallel(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        branches = [
            self._branch(one, at, where, depth)
            for at, one in enumerate(items(raw.get("branches"), f"{where}: branches"), 1)
        ]
        steps = self._forms.steps(raw.get("steps"), where, depth)
        branches += [Branch(name=step.name, steps=[step], required=not step.optional) for step in steps]
        return {
            "branches": _with_own_names(branches),
            "post_steps": self._forms.steps(raw.get("post_steps"), where, depth),
            "max_concurrency": whole(
                raw.get("max_concurrency"), DEFAULT_CONCURRENCY, 1, MAX_CONCURRENCY, f"{where}: max_concurrency"
            ),
            "fail_fast": truth(raw.get("fail_fast"), f"{where}: fail_fast"),
            "success_criteria": self._criteria(raw.get("success_criteria"), where),
        }

    def _conditional(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        branches = [
            self._branch(one, at, where, depth)
            for at, one in enumerate(items(raw.get("branches"), f"{where}: branches"), 1)
        ]
        default = self._default(raw, where, depth)
        if raw.get("condition") is not None or raw.get("then_branch") is not None:
            condition = self._forms.condition(raw.get("condition"), where) or Condition(type="always")
            branches.insert(0, self._steps_branch("then", raw.get("then_branch"), where, depth, condition))
            if raw.get("else_branch") is not None:
                default = self._steps_branch("else", raw.get("else_branch"), where, depth)
        return {
            "steps": self._forms.steps(raw.get("pre_steps", raw.get("steps")), where, depth),
            "branches": _with_own_names(branches),
            "default": default,
            "all_matching": truth(raw.get("execute_all_matching"), f"{where}: execute_all_matching") or False,
            "default_on_no_match": truth(
                raw.get("execute_default_on_no_match"), f"{where}: execute_default_on_no_match"
            )
            is not False,
        }

    def _loop(self, raw: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        body = raw.get("body", raw.get("steps"))
        aggregation = raw.get("aggregation_strategy") or "collect_all"
        if aggregation not in ("collect_all", "collect_outputs"):
            raise InvalidRequest(
                f"{where}: aggregation_strategy must be collect_all or collect_outputs, not '{aggregation}'"
            )
        iterator, limit = self._iterator(raw, where)
        given = limit if raw.get("max_iterations") is None else raw.get("max_iterations")
        return {
            "steps": self._forms.steps(body, where, depth),
            "iterator": iterator,
            "condition": self._forms.condition(raw.get("condition"), where),
            "max_iterations": whole(given, DEFAULT_ITERATIONS, 1, 1_000_000, f"{where}: max_iterations"),
            "initial_state": table(raw.get("initial_state"), f"{where}: initial_state"),
            "state_update": self._state_update(raw.get("state_update"), where),
            "break_condition": self._forms.condition(raw.get("break_condition"), where),
            "continue_condition": self._forms.condition(raw.get("continue_condition"), where),
            "aggregation": aggregation,
        }

    def _iterator(self, raw: Mapping[str, Any], where: str) -> tuple[Iterator, Any]:
        """What it goes over, and the limit of rounds that stands with it."""
        given = raw.get("iterator")
        found: dict[str, Any] = dict(table(given, f"{where}: iterator"))
        for name, key in (("range", "range"), ("collection", "collection"), ("items", "collection")):
            if raw.get(name) is not None:
                found.setdefault(key, raw[name])
        limit = found.get("max_iterations")
        if found.get("range") is not None:
            return self._range(found["range"], where), limit
        if found.get("collection") is not None:
            return Iterator(type="collection", collection=self._collection(found["collection"], where)), limit
        condition = self._forms.condition(found.get("while_condition"), where)
        if condition is None and raw.get("condition") is None and raw.get("max_iterations", limit) is None:
            raise InvalidRequest(f"{where}: a loop needs a range, a collection or a condition")
        return Iterator(type="while", condition=condition), limit

    def _range(self, given: Any, where: str) -> Iterator:
        names = ("start", "end", "step")
        listed = () if isinstance(given, Mapping) else items(given, f"{where}: range")
        found: Mapping[str, Any] = given if isinstance(given, Mapping) else dict(zip(names, listed, strict=False))
        numbers: dict[str, float] = {}
        for name, default in (("start", 1), ("end", None), ("step", 1)):
            value = found.get(name, default)
            if not is_number(value):
                raise InvalidRequest(f"{where}: range needs a number for '{name}'")
            numbers[name] = value
        if numbers["step"] == 0:
            raise InvalidRequest(f"{where}: Range configuration will not iterate (step is 0)")
        if not abs((numbers["end"] - numbers["start"]) / numbers["step"]) <= MAX_RANGE:
            raise InvalidRequest(f"{where}: range has more than {MAX_RANGE} values")
        return Iterator(
            type="range",
            start=numbers["start"],
            end=numbers["end"],
            step=numbers["step"],
            exclusive=bool(found.get("exclusive")),
        )

    def _collection(self, given: Any, where: str) -> Sequence[Any] | ScriptFunction | str:
        if self._forms.is_function(given):
            return self._forms.function_of(given)
        if isinstance(given, (str, list, tuple)) or given == {}:
            return given if isinstance(given, str) else items(given, where)
        raise InvalidRequest(f"{where}: the collection must be a list, a function or a placeholder")

    def _state_update(self, given: Any, where: str) -> str | ScriptFunction | None:
        if given is None or isinstance(given, str):
            return given
        if self._forms.is_function(given):
            return self._forms.function_of(given)
        raise InvalidRequest(f"{where}: state_update must be a string or a function")

    def _criteria(self, given: Any, where: str) -> Literal["all", "any"] | ScriptFunction:
        if self._forms.is_function(given):
            return self._forms.function_of(given)
        if given in (None, "all"):
            return "all"
        if given == "any":
            return "any"
        raise InvalidRequest(f"{where}: success_criteria must be 'all', 'any' or a function, not '{given}'")

    # Branches

    def _branch(self, raw: Any, number: int, where: str, depth: int) -> Branch:
        self._forms.counted("branches", MAX_BRANCHES)
        if not isinstance(raw, Mapping):
            raise InvalidRequest(f"{where}: branch {number} must be a table")
        name = text(raw, "name") or f"branch_{number}"
        inside = f"{where}, branch '{name}'"
        steps = self._forms.steps(raw.get("steps"), inside, depth)
        if raw.get("workflow") is not None:
            steps = [*steps, self._forms.step({"name": name, "workflow": raw["workflow"]}, 1, inside, depth)]
        optional = truth(raw.get("optional"), f"{inside}: optional")
        required = truth(raw.get("required"), f"{inside}: required")
        return Branch(
            name=name,
            steps=steps,
            condition=self._forms.condition(raw.get("condition"), inside),
            required=(not optional) if required is None else required,
        )

    def _steps_branch(
        self, name: str, given: Any, where: str, depth: int, condition: Condition | None = None
    ) -> Branch:
        if isinstance(given, Mapping) and ("steps" in given or "workflow" in given) and "type" not in given:
            branch = self._branch({**given, "name": name}, 1, where, depth)
            return Branch(name=name, steps=branch.steps, condition=condition)
        return Branch(
            name=name, steps=self._forms.steps(given, f"{where}, branch '{name}'", depth), condition=condition
        )

    def _default(self, raw: Mapping[str, Any], where: str, depth: int) -> Branch | None:
        given = raw.get("default_branch", raw.get("default"))
        if given is None:
            return None
        name = text(given, "name") if isinstance(given, Mapping) and "steps" in given else None
        branch = self._steps_branch("default", given, where, depth)
        return Branch(name=name or "default", steps=branch.steps)


def _with_own_names(branches: Sequence[Branch]) -> Sequence[Branch]:
    names: set[str] = set()
    for branch in branches:
        if branch.name in names:
            raise InvalidRequest(f"there are two branches with the name '{branch.name}'")
        names.add(branch.name)
    return branches

"""Definitions of workflows, changed at any place, in a kernel: a result or an error, and never a defect."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.messages import METADATA_KEY
from tests.fuzz.trial import Trial
from tests.fuzz.wrong_values import deep, wrong_of_kind, wrong_value
from tests.support.kernels import KernelProcess

WITHIN_S = 120
_OPTIONS = {METADATA_KEY: {"timeout_s": 5}}


def _add(name: str, words: str = "2 + 3", **more: Any) -> dict[str, Any]:
    return {"name": name, "tool": "calculator", "input": {"input": words}, **more}


_BOTH = {"type": "and", "conditions": [{"type": "always"}, {"type": "not", "condition": {"type": "never"}}]}
_AGENT = {"model": "mock/a", "system_prompt": "s", "options": {"temperature": 0.5}}
_RETRY = {"type": "retry", "max_attempts": 2, "backoff_ms": 1, "backoff_multiplier": 2, "jitter": True}
_DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "type": "sequential",
        "name": "w",
        "timeout_ms": 3000,
        "error_strategy": _RETRY,
        "checkpoint": True,
        "shared_data": {"k": 5, "xs": [1, 2]},
        "input": {"a": {"b": [1, {"c": 2}]}, "t": "2020-01-01T00:00:00"},
        "agents": {"q": _AGENT},
        "steps": [
            _add("a", retries=1, retry_delay_ms=1, condition=_BOTH),
            _add("b", "{{step:a:output}} {{a.b[2].c}} {{t:format:YYYYMMDD}} {{input.a.b.1:substring:0:3:uppercase}}"),
            _add("c", "{{shared:k}} {{state:no}} {{xs[1]}}", skip_if="shared.k == 4", timeout_ms=1000, optional=True),
            {"name": "d", "agent": "q", "input": {"text": "{{b}}", "parameters": {"p": 1}, "context": {"c": 2}}},
            _add("e", condition={"type": "step_output_equals", "step_name": "a", "value": 5}, metadata={"x": 1}),
            _add("f", "$shared.xs[1]", when={"type": "shared_data_greater_than", "key": "k", "value": 3}),
            _add("g", condition={"type": "agent_evaluates_true", "agent": "q", "prompt": "Is it?"}),
        ],
    },
    {
        "type": "parallel",
        "name": "p",
        "max_concurrency": 2,
        "fail_fast": True,
        "success_criteria": "any",
        "branches": [
            {"name": "x", "steps": [_add("a")], "optional": True},
            {"name": "y", "steps": [{"name": "n", "workflow": {"type": "sequential", "steps": [_add("z")]}}]},
        ],
        "post_steps": [_add("post", "{{branch:x:a:output}} + 1")],
    },
    {
        "type": "conditional",
        "name": "c",
        "steps": [_add("pre")],
        "execute_all_matching": True,
        "branches": [{"name": "x", "condition": "steps.pre.output == 5", "steps": [_add("a")]}],
        "default_branch": {"name": "other", "steps": [_add("d")]},
    },
    {
        "type": "loop",
        "name": "l",
        "range": {"start": 1, "end": 3, "step": 1},
        "max_iterations": 5,
        "body": [_add("a", "{{loop_value}} + {{loop:current_index}}")],
        "initial_state": {"n": 0},
        "state_update": "state.n = state.n + 1",
        "break_condition": "state.n > 2",
    },
    {
        "type": "loop",
        "name": "i",
        "items": [1, {"d": "sales"}],
        "error_strategy": "continue",
        "body": [{"name": "in", "type": "loop", "range": [1, 2, 1], "body": [_add("z", "{{loop_item.d}}")]}],
    },
)
_TEXTS = (
    *("{{x:substring:" + "9" * 5000 + "}}", "{{a.²}}", "{{xs[" + "9" * 5000 + "]}}", "$shared.xs[" + "9" * 400 + "]"),
    *("{{" * 3000, "{{a:" * 2000 + "}}", "{{" + " " * 9000, "{{\ud800}}", "{{step::}}", "{{:}}", "{{t:format:\0}}"),
    *("error('x')", "while true do end", "state = 5", "state.f = function() end", "steps.a.output..1", "continue"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, [], {}, [None], {"$fn": 1}, {"$fn": "x"}, {"$fn": 10**30}, {"type": []}, {"name": []}, {"q": 5}),
    *({"type": "retry", "max_attempts": 1000, "backoff_ms": 1e-9, "backoff_multiplier": 1e3}, {"expression": 5}),
    *(deep(100, lists=True), deep(100, lists=False), deep(400, lists=True), {"type": "or", "conditions": [{}]}),
)


def run(trial: Trial) -> None:
    """One definition is changed somehow and executed, again and again."""
    home = trial.directory / "home"
    home.mkdir(mode=0o700)
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)})
    try:
        with kernel.client() as client:
            while trial.more():
                _try(client, _changed(trial.random))
    finally:
        kernel.stop()


def _try(client: Client, definition: dict[str, Any]) -> None:
    content = {"action": "execute", "definition": definition, "progress": False}
    try:
        reply = client.request("workflow_request", content, metadata=_OPTIONS).result(WITHIN_S)
        codes = set(_codes(reply.content["result"]))
    except LlmspellError as error:
        codes = {error.code}
    assert "internal" not in codes, json.dumps(definition)


def _codes(value: Any) -> Iterator[str]:
    """Those of all errors that a result has in it."""
    if isinstance(value, dict):
        if isinstance(value.get("code"), str):
            yield value["code"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _codes(one)


def _changed(random: Random) -> dict[str, Any]:
    definition = copy.deepcopy(random.choice(_DEFINITIONS))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        holder, key = random.choice(list(_places(definition)))
        change = random.randrange(4)
        if change == 0:
            holder[key] = wrong_of_kind(random, holder[key], "json")
        elif change == 1:
            _, from_key = other = random.choice(list(_places(definition)))
            holder[key] = copy.deepcopy(other[0][from_key])
        elif change == 2 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = random.choice((random.choice(_TEXTS), random.choice(_VALUES), wrong_value(random, "json")))
    return definition


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value: what holds it, and under which key; one that is always there comes first."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)

"""Workflows that hypothesis makes: trees of steps that succeed, fail, are slow, and have others in them."""

from __future__ import annotations

from itertools import count
from math import sqrt
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Node(NamedTuple):
    """A step: `call`s are `takes` long and fail so many times; the others have steps of their own."""

    kind: str
    name: str
    inner: tuple[Node, ...] = ()
    takes: float = 0
    failures: int = 0
    retries: int = 0
    rounds: int = 1
    goes_on: bool = False
    chosen: int = 0


def definition_of(node: Node) -> dict[str, Any]:
    """The node as a workflow's step."""
    if node.kind == "call":
        given = {"step": node.name, "takes": node.takes, "failures": node.failures}
        return {
            "name": node.name,
            "tool": "call",
            "input": given,
            "timeout_ms": 10**9,
            "retries": node.retries,
            "retry_delay_ms": 0,
        }
    steps = [definition_of(one) for one in node.inner]
    made: dict[str, Any] = {"name": node.name, "type": node.kind}
    if node.kind == "loop":
        made |= {"range": {"start": 1, "end": node.rounds}, "body": steps}
    elif node.kind == "conditional":
        branches = [{"name": f"b{at}", "condition": at == node.chosen, "steps": [one]} for at, one in enumerate(steps)]
        made |= {"branches": branches}
    else:
        made |= {"steps": steps, "max_concurrency": 64}
    return {**made, "error_strategy": "continue" if node.goes_on else "fail_fast"}


_SQUARE_FREE = [number for number in range(2, 200) if all(number % (root * root) for root in range(2, 15))]
"""Sums of their roots are equal only where they are the same roots, tries included: 2 √3 is √12."""


@st.composite
def workflows(draw: st.DrawFn) -> Node:
    """A tree of steps; no two calls take the same time, so that nothing happens at one moment."""
    numbers = count(1)

    def node(depth: int) -> Node:
        number = next(numbers)
        kinds = ["call", "call"] + (["sequential", "parallel", "conditional", "loop"] if depth else [])
        kind = draw(st.sampled_from(kinds)) if depth < 3 else draw(st.sampled_from(kinds[2:]))
        if kind == "call":
            failures = draw(st.sampled_from([0, 0, 0, 1, 2]))
            retries = draw(st.integers(0, 2))
            return Node("call", f"s{number}", takes=sqrt(_SQUARE_FREE[number]), failures=failures, retries=retries)
        inner = tuple(node(depth - 1) for _ in range(draw(st.integers(1, 3))))
        return Node(
            kind,
            f"s{number}",
            inner,
            rounds=draw(st.integers(1, 3)) if kind == "loop" else 1,
            goes_on=draw(st.booleans()),
            chosen=draw(st.integers(0, len(inner) - 1)),
        )

    return node(3)


def whole(node: Node) -> dict[str, Any]:
    """The node as a workflow."""
    return {**definition_of(node), "type": node.kind}


def has_lasting_failures_in_a_loop(node: Node, in_loop: bool = False) -> bool:
    """A call that has failed for good begins its count anew in the interpreter, and not in the tool."""
    in_loop = in_loop or node.kind == "loop"
    if node.kind == "call":
        return in_loop and node.failures > node.retries
    return any(has_lasting_failures_in_a_loop(one, in_loop) for one in node.inner)

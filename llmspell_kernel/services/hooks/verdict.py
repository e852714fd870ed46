"""What a hook says about the work at its point, and how what a script's function returned is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from llmspell_protocol.errors import Forbidden

Kind = Literal["continue", "modified", "skip", "cancel", "redirect", "replace", "retry"]

MOST_ATTEMPTS = 100
LONGEST_DELAY_MS = 60_000


class NoVerdict(Exception):
    """A hook returned something that says nothing about the work."""


class Verdict(NamedTuple):
    """What one hook, or all hooks of a point together, say. `data` is the point's data as the hooks left it.

    `value` is what `replace` puts in the place of the result; `raw`, where it is not None, the same as the service
    itself has it. `by` names the hook.
    """

    kind: Kind
    data: Mapping[str, Any]
    value: Any = None
    raw: Any = None
    reason: str = ""
    target: str = ""
    delay_ms: int = 1000
    max_attempts: int = 3
    by: str = ""

    def demand_not_cancelled(self, point: str) -> None:
        """Raises `Forbidden` where a hook has cancelled the work."""
        if self.kind == "cancel":
            raise cancelled(self, point)


def cancelled(verdict: Verdict, point: str) -> Forbidden:
    """The error of work that a hook has cancelled."""
    return Forbidden(
        f"Operation cancelled by hook: {verdict.reason or 'no reason given'}",
        details={"hook": verdict.by, "point": point, "reason": verdict.reason},
    )


def read_verdict(said: Any, data: Mapping[str, Any]) -> Verdict:
    """The verdict that a function's first result stands for.

    Raises:
        NoVerdict: it stands for none.
    """
    if said is None or said is True or said == "continue":
        return Verdict("continue", data)
    if isinstance(said, str):
        if said in ("skip", "skipped"):
            return Verdict("skip", data)
        return Verdict("cancel", data, reason=said)
    if not isinstance(said, Mapping):
        raise NoVerdict(f"it returned {'false' if said is False else repr(said)[:60]}")
    kind, reason = said.get("type"), said.get("reason")
    reason = reason if isinstance(reason, str) else ""
    if kind == "continue":
        return Verdict("continue", data)
    if kind in ("skip", "skipped"):
        return Verdict("skip", data, reason=reason)
    if kind == "cancel":
        return Verdict("cancel", data, reason=reason)
    if kind in ("modified", "modify"):
        changed = said.get("data")
        if not isinstance(changed, Mapping):
            raise NoVerdict("type 'modified' needs data, a table")
        return Verdict("modified", {**data, **changed})
    if kind == "replace":
        return Verdict("replace", data, value=said.get("data"))
    if kind == "redirect":
        target = said.get("target")
        if not isinstance(target, str) or not target:
            raise NoVerdict("type 'redirect' needs a target, a name")
        return Verdict("redirect", data, target=target)
    if kind == "retry":
        delay, most = said.get("delay_ms", 1000), said.get("max_attempts", 3)
        return Verdict(
            "retry", data, delay_ms=_within(delay, LONGEST_DELAY_MS), max_attempts=_within(most, MOST_ATTEMPTS)
        )
    shown = "without a type" if kind is None else f"whose type is {kind!r:.60}"
    raise NoVerdict(f"it returned a table {shown}")


def _within(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise NoVerdict(f"type 'retry' takes numbers from 0 to {most}")
    return int(value)

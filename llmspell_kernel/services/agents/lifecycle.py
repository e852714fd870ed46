"""The states that a script gives its agent, and the way through them. A paused or ended agent takes no turns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmspell_kernel.times import now_text
from llmspell_protocol.areas.agent import AgentStateReply, AgentTransition, StateOperation
from llmspell_protocol.errors import InvalidRequest

_WAYS: Mapping[StateOperation, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "initialize": (("Uninitialized",), ("Initializing", "Ready")),
    "start": (("Ready",), ("Running",)),
    "pause": (("Running",), ("Paused",)),
    "resume": (("Paused",), ("Running",)),
    "stop": (("Running", "Paused"), ("Ready",)),
    "terminate": (
        ("Uninitialized", "Ready", "Running", "Paused", "Error"),
        ("Terminating", "Terminated"),
    ),
    "fail": (("Uninitialized", "Ready", "Running", "Paused", "Error"), ("Error",)),
    "recover": (("Error",), ("Recovering", "Ready")),
}
"""From which states an operation leads through which."""
_KEPT = 1000
"""Transitions that are remembered."""


@dataclass(slots=True, eq=False)
class Lifecycle:
    """Where an agent stands; belongs to the loop."""

    state: str = "Uninitialized"
    history: list[AgentTransition] = field(default_factory=list)
    total: int = 0
    error_count: int = 0
    recovery_attempts: int = 0
    last_error: str | None = None
    began: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def apply(self, operation: StateOperation, reason: str | None) -> None:
        """Changes the state.

        Raises:
            InvalidRequest: `Invalid state transition: A -> B`.
        """
        if operation == "show":
            return
        from_states, through = _WAYS[operation]
        if self.state not in from_states:
            raise InvalidRequest(
                f"Invalid state transition: {self.state} -> {through[0]}",
                details={"state": self.state, "operation": operation},
            )
        if operation == "fail":
            self.error_count += 1
            self.last_error = reason
        if operation == "recover":
            self.recovery_attempts += 1
        for state in through:
            self._change(state, reason)

    def demand_awake(self, name: str) -> None:
        """Raises `InvalidRequest` where the agent is paused or has ended."""
        if self.state in ("Paused", "Terminated", "Error"):
            what = {"Paused": "resume", "Error": "recover"}.get(self.state)
            raise InvalidRequest(
                f"Agent '{name}' is {self.state.lower()} and takes no turns",
                hint=f"{what} it first" if what else None,
                details={"agent": name, "state": self.state},
            )

    def reply(self) -> AgentStateReply:
        """What is shown of it."""
        now = time.monotonic()
        seconds = {**self.seconds, self.state: self.seconds.get(self.state, 0.0) + now - self.since}
        return AgentStateReply(
            state=self.state,
            healthy=self.state != "Error",
            history=tuple(self.history),
            total_transitions=self.total,
            error_count=self.error_count,
            recovery_attempts=self.recovery_attempts,
            last_error=self.last_error,
            uptime_s=round(now - self.began, 3),
            seconds_in_state={state: round(value, 3) for state, value in seconds.items()},
        )

    def _change(self, state: str, reason: str | None) -> None:
        now = time.monotonic()
        elapsed = now - self.since
        self.seconds[self.state] = self.seconds.get(self.state, 0.0) + elapsed
        at = now_text()
        step = AgentTransition(before=self.state, after=state, timestamp=at, elapsed_s=round(elapsed, 3), reason=reason)
        self.history = [*self.history[1 - _KEPT :], step]
        self.state, self.since = state, now
        self.total += 1

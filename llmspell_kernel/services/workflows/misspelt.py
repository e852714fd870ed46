"""Keys of workflows and steps that were meant to be others: taken for what they are, they would do nothing, silently.

Further keys of a script's own are no mistake; only those are refused that nearly are one of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

_NEAR = 0.75
"""From this likeness on (`difflib`) a key is taken for another: `retrys` for `retries`, `timeout` for `timeout_ms`."""

_KEYS = (
    *("type", "name", "description", "dialect", "input", "parameters", "params", "agents", "agent", "tool"),
    *("workflow", "execute", "func", "handler", "fn", "steps", "branches", "body", "checkpoint", "debug"),
    *("log_level", "shared_data", "metadata", "error_strategy", "continue_on_error", "fail_fast", "required"),
    *("optional", "timeout_ms", "retries", "max_retries", "retry_count", "retry_delay_ms", "max_concurrency"),
    *("max_iterations", "success_criteria", "condition", "when", "skip_if", "pre_condition", "break_condition"),
    *("continue_condition", "while_condition", "then_branch", "else_branch", "default", "default_branch"),
    *("execute_all_matching", "execute_default_on_no_match", "pre_steps", "post_steps", "iterator", "range"),
    *("collection", "items", "start", "end", "step", "end_", "initial_state", "state_update"),
    *("aggregation_strategy", "setup", "before_execute", "after_execute", "trace", "compensate", "on_start"),
    *("on_error", "on_timeout", "on_complete", "on_retry", "on_step_start", "on_step_complete"),
    *("on_iteration_complete", "id"),
)


def demand_no_misspelt(raw: Mapping[str, Any], where: str) -> None:
    """Raises `InvalidRequest` for a key that is nearly one of ours."""
    unknown = [key for key in raw if key not in _KEYS]
    if not unknown:
        return
    # Few definitions have keys of their own.
    from difflib import get_close_matches

    for key in unknown:
        meant = get_close_matches(key.lower(), _KEYS, n=1, cutoff=_NEAR)
        if meant:
            raise InvalidRequest(
                f"{where} has no setting '{key[:80]}'", hint=f"did you mean '{meant[0]}'?", details={"key": key[:80]}
            )

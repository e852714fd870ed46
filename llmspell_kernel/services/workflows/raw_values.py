"""Values of definitions as scripts and files write them, read as what they have to be. Knows no steps.

What is of another form raises `InvalidRequest`, with the place that the caller names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.services.workflows.definition import Retry, Strategy
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.numbers import is_number

MOST_MS = 1e12
"""Of time limits and pauses: some thirty years."""
MOST_MULTIPLIER = 1000.0


def strategy_of(given: Any, where: str) -> Strategy:
    """An error strategy: a word, or a table."""
    if isinstance(given, str):
        given = {"type": given}
    if given is None:
        return Strategy()
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{where}: error_strategy must be a string or a table")
    kind = given.get("type")
    if kind in ("fail_fast", "stop"):
        return Strategy()
    if kind == "continue":
        return Strategy(continues=True)
    if kind != "retry":
        raise InvalidRequest(f"{where}: error_strategy must be fail_fast, continue or retry, not '{kind}'")
    plain = Retry(multiplier=1) if set(given) == {"type"} else Retry()
    return Strategy(
        retry=Retry(
            attempts=whole(given.get("max_attempts"), plain.attempts, 1, 1000, f"{where}: max_attempts"),
            backoff_ms=number(given.get("backoff_ms", plain.backoff_ms), f"{where}: backoff_ms"),
            multiplier=number(
                given.get("backoff_multiplier", plain.multiplier), f"{where}: backoff_multiplier", MOST_MULTIPLIER
            ),
            jitter=truth(given.get("jitter"), f"{where}: jitter") is not False,
        )
    )


def first(raw: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of these keys that has one."""
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def text(raw: Mapping[str, Any], key: str) -> str | None:
    """The text of a key; None where it has none."""
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"'{key}' must be a string")


def needed_text(raw: Mapping[str, Any], key: str, where: str) -> str:
    """The text of a key that must have one."""
    value = raw.get(key)
    if isinstance(value, str) and value:
        return value
    raise InvalidRequest(f"{where} needs '{key}', a name")


def items(given: Any, where: str) -> Sequence[Any]:
    """A list; a script's empty table may come as an object."""
    if isinstance(given, (list, tuple)):
        return given
    if given is None or given == {}:
        return []
    raise InvalidRequest(f"{where} must be a list")


def table(given: Any, where: str) -> Mapping[str, Any]:
    """A table; nothing is an empty one."""
    if given is None or given == []:
        return {}
    if isinstance(given, Mapping):
        return given
    raise InvalidRequest(f"{where} must be a table")


def truth(given: Any, where: str) -> bool | None:
    """True, false, or nothing."""
    if given is None or isinstance(given, bool):
        return given
    raise InvalidRequest(f"{where} must be true or false")


def number(given: Any, where: str, most: float = MOST_MS) -> float:
    """A number from 0 to `most`."""
    if not is_number(given) or not 0 <= given <= most:
        raise InvalidRequest(f"{where} must be a number from 0 to {most:.0f}")
    return float(given)


def seconds(given: Any, where: str) -> float | None:
    """Seconds of a number of milliseconds, which may be none but not 0."""
    if given is None:
        return None
    milliseconds = number(given, where)
    if milliseconds == 0:
        raise InvalidRequest(f"{where} must be more than 0")
    return milliseconds / 1000


def whole(given: Any, default: int, least: int, most: int, where: str) -> int:
    """A whole number in a range."""
    if given is None:
        return default
    if not is_number(given) or (isinstance(given, float) and not given.is_integer()):
        raise InvalidRequest(f"{where} must be a whole number")
    if not least <= given <= most:
        raise InvalidRequest(f"{where} must be from {least} to {most}, not {given:g}")
    return int(given)

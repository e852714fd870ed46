"""What a check of `doctor` says: how it stands, what was found, what to do about it. Knows no check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

Status = Literal["ok", "warn", "fail", "skip"]
"""`warn`: works with a limit; `fail`: broken; `skip`: nothing to look at, or not asked for."""


class Fix(NamedTuple):
    """Something that `--fix` can put right: what it will do, in words that follow "will", and the doing."""

    action: str
    apply: Callable[[], object]


class Finding(NamedTuple):
    """The result of one check; `details` are figures for programs."""

    status: Status
    message: str
    hint: str | None = None
    details: Mapping[str, Any] = {}
    fixes: tuple[Fix, ...] = ()


class Problem(NamedTuple):
    """One thing among several that is not as it should be, and how it is put right, if that can be done."""

    status: Status
    text: str
    fix: Fix | None


def ok(message: str, **details: Any) -> Finding:
    """All is well."""
    return Finding("ok", message, details=details)


def skip(message: str, hint: str | None = None, **details: Any) -> Finding:
    """The check does not apply."""
    return Finding("skip", message, hint, details)


def warn(message: str, hint: str | None, **details: Any) -> Finding:
    """It works, with a limitation."""
    return Finding("warn", message, hint, details)


def fail(message: str, hint: str | None, **details: Any) -> Finding:
    """It is broken."""
    return Finding("fail", message, hint, details)

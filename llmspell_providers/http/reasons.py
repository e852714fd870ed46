"""Why a connection failed, in words for people, out of a chain of exceptions. Knows no library."""

from __future__ import annotations

import re

MAX_SAID = 500


def reason_of(error: BaseException) -> str:
    """The first cause in a chain of exceptions that has words for people."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        text = str(cause)
        if "refused" in text.lower() or "all connection attempts failed" in text.lower():
            return "connection refused"
        deeper = cause.__cause__ or cause.__context__
        if deeper is None or isinstance(deeper, GeneratorExit):
            return one_line(text) or type(cause).__name__
        cause = deeper
    return type(error).__name__


def one_line(text: str) -> str:
    """What others say, as one line of bounded length."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text)[:MAX_SAID].strip()

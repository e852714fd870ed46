"""Why a connection failed, in words for people, out of a chain of exceptions. Knows no library."""

from __future__ import annotations

import re

MAX_SAID = 500
_WORDS = (
    (r"refused|all connection attempts failed", "connection refused"),
    (r"illegal (?:status|request|header) line|bad content-length|conflicting content-length", "it does not speak HTTP"),
    (r"illegal chunk|only transfer-encoding|receive buffer too long|_switch_upgrade", "it does not speak HTTP"),
    (r"without sending a response", "it closed the connection without an HTTP answer"),
    (r"without sending complete", "it closed the connection in the middle of its answer"),
    (r"name or service not known|nodename nor servname|no address associated|name resolution", "no such host"),
    (r"wrong.version.number|record layer failure|http.request", "it does not speak TLS: is https meant?"),
)


def reason_of(error: BaseException) -> str:
    """The first cause in a chain of exceptions that has words for people."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = str(cause)
        for pattern, words in _WORDS:
            if re.search(pattern, text, re.IGNORECASE):
                return words
        deeper = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
        if deeper is None or isinstance(deeper, GeneratorExit):
            return one_line(text) or type(cause).__name__
        cause = deeper
    return type(error).__name__


def one_line(text: str) -> str:
    """What others say, as one line of bounded length."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text)[:MAX_SAID].strip()

"""What operating systems and libraries say about a connection that failed, in words that people use."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\[(?:Errno|WinError) -?\d+\]\s*")
_WORDS = (
    (
        r"name or service not known|nodename nor servname provided(?:, or not known)?|no address associated with "
        r"(?:host)?name|name does not resolve|temporary failure in name resolution|getaddrinfo failed",
        "no such host, or no network",
    ),
    (r"network is unreachable|no route to host", "there is no network to it"),
    (r"all connection attempts failed", "connection refused"),
)


def plain_reason(text: str) -> str:
    """The same without numbers of errors, and with plain words for what is said most often."""
    text = _NUMBER.sub("", text)
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text, flags=re.IGNORECASE)
    return text

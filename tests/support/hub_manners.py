"""How a server on order sends a file: held, cut, silent, lying, or not at all. Knows no sockets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """An answer that gives nothing: a status and its headers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def too_many_requests(retry_after: str | None = None) -> Refusal:
    """The hub's 429."""
    return Refusal(429, {} if retry_after is None else {"Retry-After": retry_after})


@dataclass
class Manner:
    """How the bytes of one file are sent; None: as they should be.

    `hold_at`: send so many bytes of the file, set `reached` and wait for `release`. `cut_at`: close the connection at
    these places, each once. `body`: send these bytes in place of the file's. `full_only`: ignore Range.
    `no_length`: do not say how long it is. `status`: answer with this. `refusals`: answer the first requests with these
    (429 with a Retry-After). `silent_at`: send up to so many bytes of the file and then nothing, each time.
    """

    hold_at: int | None = None
    cut_at: list[int] = field(default_factory=list)
    body: bytes | None = None
    full_only: bool = False
    no_length: bool = False
    status: int | None = None
    refusals: list[Refusal] = field(default_factory=list)
    silent_at: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

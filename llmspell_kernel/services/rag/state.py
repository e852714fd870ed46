"""How the collections worker is, for the kernel's status."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from llmspell_kernel.services.rag.collections import Collections


class RagState(NamedTuple):
    """How the collections worker is; `healthy` None: nothing was asked so far, or nothing is to be told of it."""

    pid: int | None
    memory_bytes: int
    path: Path | None
    healthy: bool | None
    problem: str | None


def state_of(collections: Collections, *, is_told: bool) -> RagState:
    """What is known of it without asking it; `is_told` is whether its health is."""
    pid, problem = collections.pid, collections.problem
    healthy = (problem is None) if is_told and (pid is not None or problem is not None) else None
    return RagState(pid, collections.memory_bytes(), collections.path, healthy, problem if is_told else None)

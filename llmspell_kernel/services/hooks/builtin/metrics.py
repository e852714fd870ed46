"""Counts executions by component: how many began, ended and failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmspell_kernel.services.hooks.builtin.native import AFTER, BEFORE, ERRORS
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

MOST_COMPONENTS = 10_000


class Metrics:
    """`metrics`"""

    name = "metrics"
    priority = "lowest"
    points = (*BEFORE, *AFTER, *ERRORS)
    description = "counts executions"

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, Counter[str]]] = {}

    async def at(self, occasion: Occasion) -> Verdict:
        """Counts one."""
        name = f"{occasion.component.type} {occasion.component.name}"
        key = "" if occasion.request is None else occasion.request.caller.key_id
        own = self._by_key.setdefault(key, {})
        if name not in own and len(own) >= MOST_COMPONENTS:
            name = "others"
        what = "started" if occasion.point in BEFORE else "completed" if occasion.point in AFTER else "failed"
        own.setdefault(name, Counter(started=0, completed=0, failed=0))[what] += 1
        return Verdict("continue", occasion.data)

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """By component."""
        return {name: dict(counts) for name, counts in self._by_key.get(key_id, {}).items()}

"""Keeps results of tools that the configuration names, and gives them for the same parameters."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict
from llmspell_kernel.services.patterns import fits_any

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import CachingHook


class Caching:
    """`caching`"""

    name = "caching"
    priority = "high"
    points = ("BeforeToolExecution", "AfterToolExecution")
    description = "keeps results of tools"

    def __init__(self, settings: CachingHook) -> None:
        self._components = tuple(settings.components)
        self._ttl_s = settings.ttl_seconds
        self._most = settings.max_entries
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}
        self._hits = self._misses = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Before the work what was kept of it; after it, keeps it. What failed is not kept."""
        unchanged = Verdict("continue", occasion.data)
        request, name = occasion.request, occasion.component.name
        if request is None or not fits_any(name, self._components):
            return unchanged
        text = json.dumps(occasion.data["parameters"], sort_keys=True, default=str)
        # A tool of a script's is another one in each script.
        who = f"{request.caller.key_id} {request.caller.context if occasion.data.get('source') == 'script' else ''}"
        entry = who, f"{name} {text}"
        now = time.monotonic()
        if occasion.point == "BeforeToolExecution":
            found = self._kept.get(entry)
            if found is not None and found[0] > now:
                self._hits += 1
                return Verdict("replace", occasion.data, value=found[1].result, raw=found[1])
            self._misses += 1
        elif occasion.raw.success:
            self._kept.pop(entry, None)
            self._kept[entry] = now + self._ttl_s, occasion.raw
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return unchanged

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """How often a result was there."""
        return {"hits": self._hits, "misses": self._misses, "entries": len(self._kept)}

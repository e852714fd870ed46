"""Keeps results of tools that the configuration names, and gives them to calls that would give the same.

Those are calls of the same key with the same parameters, which may touch the same: what one call was granted, another
does not see. A bounded number of results is kept, and of bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict
from llmspell_kernel.services.patterns import fits_any
from llmspell_kernel.services.weight import weight

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import CachingHook
    from llmspell_protocol.areas.tool import ToolInvokeReply

KEPT_BYTES = 64 * 1024 * 1024
"""All results together."""
LARGEST = 4 * 1024 * 1024
"""Bytes of one result; a larger one is not kept."""


class _Kept(NamedTuple):
    until: float
    reply: ToolInvokeReply
    size: int


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
        self._kept: dict[bytes, _Kept] = {}
        """The oldest first."""
        self._bytes = 0
        self._hits = self._misses = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Before the work what was kept of it; after it, keeps it. What failed is not kept."""
        unchanged = Verdict("continue", occasion.data)
        if occasion.basis is None or not fits_any(occasion.component.name, self._components):
            return unchanged
        parameters = json.dumps(occasion.data["parameters"], sort_keys=True, default=str)
        # A basis has values of variables in it, and may be long: its digest stands for it.
        entry = sha256(f"{parameters}\0{occasion.basis()}".encode(errors="surrogatepass")).digest()
        now = time.monotonic()
        if occasion.point == "BeforeToolExecution":
            found = self._kept.get(entry)
            if found is not None and found.until > now:
                self._hits += 1
                return Verdict("replace", occasion.data, value=found.reply.result, raw=found.reply)
            self._misses += 1
        elif occasion.raw.success:
            self._keep(entry, occasion.raw, now)
        return unchanged

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """How often a result was there."""
        return {"hits": self._hits, "misses": self._misses, "entries": len(self._kept)}

    def _keep(self, entry: bytes, reply: ToolInvokeReply, now: float) -> None:
        self._drop(entry)
        content = [reply.result, reply.output, reply.text, reply.message, reply.metadata, reply.media, reply.fields]
        size = weight(content, LARGEST)
        if size > LARGEST:
            return
        self._kept[entry] = _Kept(now + self._ttl_s, reply, size)
        self._bytes += size
        while len(self._kept) > self._most or self._bytes > KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, entry: bytes) -> None:
        old = self._kept.pop(entry, None)
        if old is not None:
            self._bytes -= old.size

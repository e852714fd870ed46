"""Embeddings that are kept by the hash of what was embedded, each tenant's for itself. On the thread that writes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag import embedding, ops
from llmspell_rag.collections.store import Store

_AT_ONCE = 500


class Embeddings:
    """The cache of a database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.found = 0
        """since the worker began"""

    def of(self, call: embedding.VectorsOf) -> embedding.VectorsKept:
        """Those that are there and not too old; they count as used."""
        rows: dict[str, bytes] = {}
        now = time.time()
        with self._store.writing() as connection:
            for some in _pieces(list(dict.fromkeys(call.hashes))):
                marks = ",".join("?" * len(some))
                rows.update(
                    connection.execute(
                        "UPDATE embeddings SET used_at = ? WHERE owner = ? AND tenant = ? AND model = ?"
                        f" AND dimension = ? AND used_at > ? AND hash IN ({marks}) RETURNING hash, vector",
                        (now, *_key(call), now - self._store.settings.cache_ttl_s, *some),
                    ).fetchall()
                )
        hashes = [one for one in call.hashes if one in rows]
        self.found += len(hashes)
        return embedding.VectorsKept(hashes=hashes, vectors=b"".join(rows[one] for one in hashes))

    def keep(self, call: embedding.KeepVectors) -> ops.Nothing:
        """Keeps some, and lets those go that were used longest ago, or are too old."""
        size = 4 * call.dimension
        if len(call.vectors) != size * len(call.hashes):
            raise InvalidRequest(f"{len(call.hashes)} vectors have {size * len(call.hashes)} bytes")
        settings = self._store.settings
        if not settings.cached_embeddings:
            return ops.Nothing()
        now = time.time()
        with self._store.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (*_key(call), one, call.vectors[at * size : (at + 1) * size], now)
                    for at, one in enumerate(call.hashes)
                ],
            )
            connection.execute("DELETE FROM embeddings WHERE used_at <= ?", (now - settings.cache_ttl_s,))
            count = connection.execute("SELECT count(*) FROM embeddings").fetchone()[0]
            if count > settings.cached_embeddings:
                connection.execute(
                    "DELETE FROM embeddings WHERE rowid IN (SELECT rowid FROM embeddings ORDER BY used_at LIMIT ?)",
                    (count - settings.cached_embeddings,),
                )
        return ops.Nothing()


def _key(call: embedding.VectorsOf | embedding.KeepVectors) -> tuple[str, str, str, int]:
    return call.place.owner, call.place.tenant, call.model, call.dimension


def _pieces(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))

"""The calls of the collections worker, each by its name: what it does with the database that is open. Blocks.

Knows no frames: a call is a record, and so is its answer.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import Cancelled, DiskFull, InvalidRequest, StorageError
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.record import Record
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.collections import places
from llmspell_rag.collections.embeddings import Embeddings
from llmspell_rag.collections.indexes import Indexes
from llmspell_rag.collections.looking import Looking
from llmspell_rag.collections.replacing import Replacing
from llmspell_rag.collections.searching import Searching
from llmspell_rag.collections.store import GoOn, Store
from llmspell_rag.collections.writing import Writing

Progress = Callable[[int, int], None]
"""So many vectors are done, of so many."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Calls:
    """An open database, and what can be asked of it."""

    def __init__(self, call: ops.Open) -> None:
        """Opens the database; raises as `Store`.

        Raises:
            InvalidRequest: settings that can't be.
        """
        _check(call.settings)
        path = None if call.path is None else Path(call.path)
        self.store = Store(path, call.settings)
        directory = None if path is None else path.with_name(f"{path.stem}.indexes")
        self.indexes = Indexes(self.store.database, directory, call.settings)
        self._writing = Writing(self.store, self.indexes)
        self._embeddings = Embeddings(self.store)
        self._searching = Searching(self.store, self.indexes)
        self._looking = Looking(self.store, self.indexes, self._searching, self._embeddings)
        self._replacing = Replacing(self.store, self.indexes, self._writing.follow)
        self._acts: dict[str, Callable[[Any, GoOn, Progress], Record]] = {
            "describe": lambda call, go_on, _: self._looking.describe(call, go_on),
            "places": lambda call, go_on, _: self._looking.places(call, go_on),
            "known": lambda call, go_on, _: self._looking.known(call, go_on),
            "list": lambda call, go_on, _: self._looking.list(call, go_on),
            "texts": lambda call, go_on, _: self._looking.texts(call, go_on),
            "stats": lambda call, go_on, _: self._looking.stats(call, go_on),
            "prepare": lambda call, go_on, _: self._searching.prepare(call, go_on),
            "search": lambda call, go_on, _: self._searching.search(call, go_on),
            "create": lambda call, *_: self._create(call),
            "begin": lambda call, *_: self._writing.begin(call),
            "add": lambda call, *_: self._writing.add(call),
            "commit": lambda call, go_on, _: self._writing.commit(call, go_on),
            "abort": lambda call, *_: self._writing.abort(call),
            "delete": lambda call, *_: self._writing.delete(call),
            "clear": lambda call, *_: self._writing.clear(call),
            "expire": lambda call, *_: self._writing.expire(call),
            "vectors_of": lambda call, *_: self._embeddings.of(call),
            "keep_vectors": lambda call, *_: self._embeddings.keep(call),
            "replace_begin": lambda call, *_: self._replacing.begin(call),
            "replace_vectors": lambda call, *_: self._replacing.vectors(call),
            "replace_commit": lambda call, *_: self._replacing.commit(call),
            "replace_abort": lambda call, *_: self._replacing.abort(call),
            "rebuild": self._rebuild,
            "save": lambda *_: self.save(),
        }

    def act(self, op: str, call: Record, go_on: GoOn, progress: Progress) -> Record:
        """The answer to a call.

        Raises:
            Cancelled: `go_on` said so; what was committed before stays.
        """
        if not go_on():
            raise Cancelled("it was cancelled")
        return self._acts[op](call, go_on, progress)

    def save(self, *, older_than_s: float = 0.0) -> ops.Nothing:
        """Saves the indexes that changed so long ago.

        Raises:
            DiskFull, StorageError: a file can't be written; those that are there stay.
        """
        try:
            for place in self.indexes.save(older_than_s=older_than_s):
                with self.store.writing() as connection:
                    connection.execute("UPDATE places SET has_file = 1 WHERE number = ? AND NOT has_file", (place,))
        except OSError as error:
            kind = DiskFull if error.errno in _FULL else StorageError
            raise kind(
                f"an index of {self.store.path} can't be saved: {error.strerror or error}",
                hint="the documents are safe; without the file it is made again from them at the next start",
                details={"file": str(self.store.path)},
            ) from None
        return ops.Nothing()

    def close(self) -> None:
        """Closes the database; what isn't saved of an index is made up for by the next one that opens it."""
        self.indexes.close()
        self.store.close()

    def _create(self, call: ops.Create) -> ops.Described:
        return ops.Described(figures=self._looking.figures(self._writing.create(call)))

    def _rebuild(self, call: ops.Rebuild, go_on: GoOn, progress: Progress) -> ops.Rebuilt:
        with self.store.reading() as connection:
            row = places.wanted(connection, call.place)
            entry = self.indexes.fresh(connection, row)
        self.indexes.build(row.number, entry, progress, go_on)
        if not go_on():
            raise Cancelled("it was cancelled; the index is the one that was there")
        self.save()
        return ops.Rebuilt(figures=self._looking.figures(row))


def _check(settings: IndexSettings) -> None:
    if settings.quantization == "i8" and settings.metric != "cosine":
        raise InvalidRequest(
            f"vectors in eight bits a number have no length, which the metric {settings.metric} needs",
            hint="set the metric to cosine, or the quantization to f16",
        )
    for name in ("m", "ef_construction", "ef_search", "num_threads", "parallel_batch_size", "max_elements"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InvalidRequest(f"{name} is at least 1, not {value}")

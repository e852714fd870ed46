"""The index of each place: opened when it is needed, never behind the database, saved now and then.

The database is the truth. Each place counts the transactions that changed its vectors, and remembers the last of them
with what they removed: whoever has its index open, or finds it in a file, sees by that what it lacks. An index that is
no earlier state of the place (another database was put in its place, the file is damaged, or too old) is made anew
from the vectors in the database, and the next search says so.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmspell_rag.collections.places import PlaceRow, named
from llmspell_rag.collections.stored_vectors import pages
from llmspell_rag.index import saved
from llmspell_rag.index.closeness import numpy
from llmspell_rag.index.hnsw import Graph, vector_bytes
from llmspell_rag.index.layers import Layers

if TYPE_CHECKING:
    from llmspell_protocol.rag.settings import IndexSettings

log = logging.getLogger(__name__)

GoOn = Callable[[], bool]


class Later(Exception):
    """The index is of a later state than what the caller sees: it has to look again."""


class _State(NamedTuple):
    """Up to which change of its place an index has everything."""

    epoch: int
    generation: int
    stamp: str
    last: int


class Entry:
    """The open index of a place."""

    def __init__(self, row: PlaceRow, layers: Layers) -> None:
        self.dimension = row.dimension
        self.layers = layers
        self.lock = threading.Lock()
        """held to bring it up to a later state"""
        self.state = _State(row.epoch, 0, "", 0)
        self.dirty_since: float | None = None
        self.warnings: list[str] = []
        self.unchecked: tuple[saved.Mapped, saved.Unchecked] | None = None
        """a file that is mapped and whose content has not been read yet"""


class Indexes:
    """All open indexes of one database; their files lie in `directory` (None: they have none)."""

    def __init__(self, database: str, directory: Path | None, settings: IndexSettings) -> None:
        self._database = database
        self._directory = directory
        self._settings = settings
        self._entries: dict[int, Entry] = {}
        self._opening = threading.Lock()

    # What searches and writes need

    def of(self, connection: sqlite3.Connection, row: PlaceRow, *, is_last_try: bool = False) -> Entry:
        """The index of a place, with all that the caller's transaction sees, and maybe what was written since.

        Raises:
            Later: it is of a later state than can be used; a new transaction may see that as well. One that was begun
                after that (`is_last_try`) and does not means that the database is an older one: it is made anew.
            Unsupported: numpy isn't installed, or usearch where a graph is needed.
        """
        entry = self._entries.get(row.number)
        if entry is None:
            with self._opening:
                entry = self._entries.get(row.number)
                if entry is None:
                    entry = self._open(connection, row, is_last_try)
                    self._entries[row.number] = entry
        if entry.state[:3] == (row.epoch, row.generation, row.stamp):
            return entry
        with entry.lock:
            self._catch_up(connection, row, entry, is_last_try)
        return entry

    def follow(self, connection: sqlite3.Connection, row: PlaceRow) -> None:
        """Brings the index of a place up to the caller's moment, where nothing has brought it further already."""
        with suppress(Later):
            self.of(connection, row)

    def needed_bytes(self, chunks: int, dimension: int) -> int:
        """What so many vectors take of the memory."""
        if chunks < self._settings.exact_limit:
            return chunks * (4 * dimension + 8)
        return chunks * vector_bytes(dimension, self._settings)

    def memory_bytes(self, place: int) -> int:
        """What the index of a place takes of the memory; 0: it isn't open."""
        entry = self._entries.get(place)
        return 0 if entry is None else entry.layers.memory_bytes

    def file_bytes(self, place: int) -> int:
        """What the file of an index takes of the disk."""
        path = self._path(place)
        try:
            return 0 if path is None else path.stat().st_size
        except FileNotFoundError:
            return 0

    def has_graph(self, row: PlaceRow) -> bool:
        """Whether a place's vectors are found by a graph; of one that isn't open, whether they would be."""
        entry = self._entries.get(row.number)
        return row.chunks >= self._settings.exact_limit if entry is None else entry.layers.graph is not None

    # What the thread that writes does now and then

    def work(self, go_on: GoOn = lambda: True, *, overdue: bool = False) -> bool:
        """Does a part of what is to be done for graphs (only what is overdue); returns whether there was any."""
        for entry in self.open_entries:
            if entry.layers.is_overdue if overdue else entry.layers.wants_merge:
                entry.layers.merge(go_on)
                self._end_unchecked(entry)
                if entry.dirty_since is None:
                    entry.dirty_since = time.monotonic()
                return True
        return False

    def check(self, go_on: GoOn = lambda: True) -> None:
        """Reads the content of mapped files that were not read yet; what is damaged is made anew by the next search."""
        for number, entry in list(self._entries.items()):
            if entry.unchecked is None:
                continue
            sound = entry.unchecked[0].content_is_sound(go_on)
            if sound is None:
                return
            self._end_unchecked(entry)
            if not sound and self._entries.get(number) is entry:
                log.warning("%s is damaged", self._path(number))
                self._discard(number)

    def save(self, *, older_than_s: float = 0.0) -> Iterator[int]:
        """Saves every graph that changed so long ago; gives the number of each place whose file is there.

        Raises:
            OSError: the disk is full, or the folder can't be written.
        """
        now = time.monotonic()
        for number, entry in list(self._entries.items()):
            path = self._path(number)
            if entry.dirty_since is None or path is None or now - entry.dirty_since < older_than_s:
                continue
            with entry.lock:
                entry.layers.settle()
                last = entry.layers.last_of_graph(entry.state.last)
                entry.layers.save(partial(self._save, path, number, entry, last))
                entry.dirty_since = None
            if path.exists():
                yield number

    def _save(self, path: Path, number: int, entry: Entry, last: int, graph: Graph) -> None:
        saved.save(path, graph, self._about(number, entry, len(graph), last))

    @property
    def open_entries(self) -> list[Entry]:
        """The indexes that are open."""
        return list(self._entries.values())

    @property
    def has_unchecked(self) -> bool:
        """Whether there is work for `check`."""
        return any(entry.unchecked is not None for entry in self.open_entries)

    def save_due(self) -> float | None:
        """In how many seconds something is to be saved; None: nothing has changed."""
        since = [one.dirty_since for one in self._entries.values() if one.dirty_since is not None]
        if not since or self._directory is None:
            return None
        return max(0.0, min(since) + self._settings.save_interval_s - time.monotonic())

    def forget(self, place: int) -> None:
        """The place is gone: its index goes from memory and disk."""
        self._discard(place)

    def fresh(self, connection: sqlite3.Connection, row: PlaceRow) -> Entry:
        """All vectors that the caller's transaction sees, without a graph; `build` makes it and has it used."""
        entry = Entry(row, Layers(row.dimension, self._settings))
        self._load(connection, row, entry)
        return entry

    def build(self, number: int, entry: Entry, progress: Callable[[int, int], None], go_on: GoOn) -> None:
        """Makes the graph of a fresh index and has it from then on; searches have the old one until then."""
        total = len(entry.layers)
        while entry.layers.wants_merge and go_on():
            entry.layers.merge(go_on)
            progress(len(entry.layers.graph or ()), total)
        if not go_on():
            return
        self._discard(number)
        if entry.layers.graph is not None:
            entry.dirty_since = time.monotonic()
        self._entries[number] = entry
        progress(total, total)

    def close(self) -> None:
        """Takes the marks away that say what is looked at."""
        for entry in self._entries.values():
            self._end_unchecked(entry)

    # Opening and catching up

    def _open(self, connection: sqlite3.Connection, row: PlaceRow, is_last_try: bool) -> Entry:
        entry = Entry(row, Layers(row.dimension, self._settings))
        path = self._path(row.number)
        try:
            if path is None or not self._take_file(path, row, entry, is_last_try):
                if path is not None and row.has_file and not path.exists():
                    self._tell(entry, row, "is missing")
                self._load(connection, row, entry)
            elif entry.state[:3] == (row.epoch, row.generation, row.stamp):
                # What stood above the graph when it was saved is not in the file.
                self._add_from(connection, row, entry, entry.state.last)
        except saved.Damaged as problem:
            assert path is not None
            self._tell(entry, row, f"was damaged ({problem})")
            path.unlink(missing_ok=True)
            entry.layers = Layers(row.dimension, self._settings)
            self._load(connection, row, entry)
        return entry

    def _take_file(self, path: Path, row: PlaceRow, entry: Entry, is_last_try: bool) -> bool:
        """Has the graph of a file beneath; False: there is none that fits.

        Raises:
            Damaged: there is one that can't be used.
            Later: it is of a later state than the caller sees.
        """
        left_unchecked = saved.Unchecked.was_left(path)
        file = saved.opened(path)
        if file is None:
            return False
        about = file.about
        fits = self._about(row.number, entry, about.count, about.last)
        if replace(fits, generation=about.generation, stamp=about.stamp) != about:
            log.info("%s is of other settings or another database", path)
            return False
        if about.generation > row.generation and not is_last_try:
            raise Later
        mark = saved.Unchecked(path)
        graph = Graph(row.dimension, self._settings)
        try:
            if left_unchecked or not self._settings.is_mapped:
                if not file.content_is_sound():
                    raise saved.Damaged("its content is not as it was written")
            else:
                mark.set()
                entry.unchecked = (file, mark)
            if self._settings.is_mapped:
                graph.map(file.content)
            else:
                graph.read(file.content)
        except ValueError as problem:
            self._end_unchecked(entry)
            raise saved.Damaged(str(problem)) from None
        if len(graph) != about.count:
            self._end_unchecked(entry)
            raise saved.Damaged(f"it has {len(graph)} vectors in place of {about.count}")
        entry.layers.take(graph)
        entry.state = _State(about.epoch, about.generation, about.stamp, about.last)
        return True

    def _catch_up(self, connection: sqlite3.Connection, row: PlaceRow, entry: Entry, is_last_try: bool) -> None:
        """Brings an index to the state that the caller's transaction sees; it is under its lock."""
        state = entry.state
        if (state.epoch, state.generation) > (row.epoch, row.generation):
            if is_last_try:
                self._renew(connection, row, entry, "was of a later state than the database")
            elif state.epoch > row.epoch:
                raise Later
            return
        if state[:3] == (row.epoch, row.generation, row.stamp):
            return
        changes = connection.execute(
            "SELECT generation, stamp, removed FROM changes WHERE place = ? AND generation >= ? ORDER BY generation",
            (row.number, state.generation),
        ).fetchall()
        begins = state.generation == 0 or (changes and changes[0][:2] == (state.generation, state.stamp))
        if state.epoch != row.epoch or not begins:
            # New vectors of another model are no fault of the index.
            why = "was of another state of the database" if state.epoch == row.epoch else None
            self._renew(connection, row, entry, why)
            return
        np = numpy()
        removed = np.concatenate(
            [np.frombuffer(one, np.int64) for generation, _, one in changes if generation > state.generation]
            or [np.empty(0, np.int64)]
        )
        self._add_from(connection, row, entry, state.last)
        if len(removed):
            entry.layers.remove(removed)
            if entry.layers.graph is not None and entry.dirty_since is None and not entry.layers.graph.is_mapped:
                entry.dirty_since = time.monotonic()
        entry.state = _State(row.epoch, row.generation, row.stamp, entry.state.last)

    def _renew(self, connection: sqlite3.Connection, row: PlaceRow, entry: Entry, why: str | None) -> None:
        if why is not None:
            self._tell(entry, row, why)
        self._end_unchecked(entry)
        entry.dimension = row.dimension
        entry.layers = Layers(row.dimension, self._settings)
        self._load(connection, row, entry)

    def _load(self, connection: sqlite3.Connection, row: PlaceRow, entry: Entry) -> None:
        """All vectors of a place, into the matrix; the graph is made of them by `work`."""
        entry.state = _State(row.epoch, row.generation, row.stamp, 0)
        self._add_from(connection, row, entry, 0)

    def _add_from(self, connection: sqlite3.Connection, row: PlaceRow, entry: Entry, last: int) -> None:
        for numbers, vectors in pages(connection, row, last):
            entry.layers.append(numbers, vectors)
            last = int(numbers[-1])
        entry.state = entry.state._replace(last=last)

    def _tell(self, entry: Entry, row: PlaceRow, why: str) -> None:
        text = f"the index of collection {named(row.place)} {why}; it is made again from the database"
        log.warning("%s", text)
        entry.warnings.append(text)

    def _discard(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        if entry is not None:
            self._end_unchecked(entry)
        path = self._path(number)
        if path is not None:
            path.unlink(missing_ok=True)

    def _end_unchecked(self, entry: Entry) -> None:
        if entry.unchecked is not None:
            entry.unchecked[1].clear()
            entry.unchecked = None

    def _path(self, place: int) -> Path | None:
        return None if self._directory is None else self._directory / f"{place}.index"

    def _about(self, number: int, entry: Entry, count: int, last: int) -> saved.About:
        settings = self._settings
        return saved.About(
            database=self._database,
            place=number,
            epoch=entry.state.epoch,
            generation=entry.state.generation,
            stamp=entry.state.stamp,
            last=last,
            dimension=entry.dimension,
            metric=settings.metric,
            quantization=settings.quantization,
            m=settings.m,
            count=count,
        )

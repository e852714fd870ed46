"""Who is generated with whom and when: requests in order of arrival, one thread that computes, turns between batches.

Requests whose settings agree become one batch; those that come later are read beside it and then join it. What cannot
join has a batch of its own, and the batches take turns, so that no request waits for another's long reply. Knows rows
and batches, not what a token is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import torch

from llmspell_protocol.errors import OutOfMemory
from llmspell_providers.candle.engine import EngineCancelled
from llmspell_providers.candle.transformer.batch import Batch
from llmspell_providers.candle.transformer.row import Row
from llmspell_providers.candle.transformer.threads import Threads
from llmspell_providers.candle.transformer.weights import Weights

TURN_S = 0.1
"""How long a batch writes while others wait for their turn; going on after a pause costs about two milliseconds."""


class Batches:
    """The line of requests before a model, and the thread that generates."""

    def __init__(self, weights: Weights, *, slots: int, chunk: int, threads: Threads) -> None:
        self._weights = weights
        self._slots = slots
        self._chunk = chunk
        self._threads = threads
        self._changed = threading.Condition()
        self._waiting: deque[Row] = deque()
        self._batches: deque[Batch] = deque()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)
        self._thread.start()

    def submit(self, row: Row) -> None:
        """Puts a request at the end of the line."""
        with self._changed:
            self._waiting.append(row)
            self._changed.notify()

    def busy(self) -> int:
        """Requests that are being generated."""
        return sum(not row.is_done for batch in list(self._batches) for row in list(batch.rows))

    def close(self) -> None:
        """Ends the thread after the step that it is in; open requests end as cancelled."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            for rows in reversed(self._admitted()):
                self._guarded(rows, partial(self._begin, rows))
            if self._batches:
                # Last in the round from now on, unless there is nothing left of it.
                self._batches.rotate(-1)
                batch = self._batches[-1]
                self._guarded(batch.rows, partial(self._advance, batch))
                if all(row.is_done for row in batch.rows):
                    self._batches.remove(batch)
        for row in (*self._waiting, *(row for batch in self._batches for row in batch.rows)):
            row.fail(EngineCancelled())

    def _begin(self, rows: Sequence[Row]) -> None:
        # A running batch stopped for it, and has had its turn.
        self._batches.appendleft(Batch(self._weights, rows, chunk=self._chunk, between=self._threads.fit))

    def _guarded(self, rows: Sequence[Row], step: Callable[[], None]) -> None:
        """The thread's boundary: what goes wrong in a step ends the requests that it was for, and no others."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 the boundary
            for row in rows:
                row.fail(_failure(error, self._weights.device))

    def _advance(self, batch: Batch) -> None:
        """One turn: a chunk of the prompts, or some tokens of the replies, which may follow the last chunk at once."""
        if not batch.is_read:
            batch.read()
            self._threads.fit()
            if not batch.is_read:
                return
        host = next((one for one in self._batches if one is not batch and one.could_absorb(batch)), None)
        if host is None:
            began = time.monotonic()
            batch.write(lambda: self._is_over(began))
            return
        # Its first token makes what the host's rows have already.
        batch.write(lambda: True)
        if batch.rows:
            host.absorb(batch)
            batch.rows = []

    def _is_over(self, began: float) -> bool:
        """Whether a turn that began then shall end; asked after every token, so it looks at little."""
        if self._waiting:
            self._forget_cancelled()
            if self._waiting and self.busy() < self._slots:
                return True
        return self._is_closed or (len(self._batches) > 1 and time.monotonic() - began > TURN_S)

    def _forget_cancelled(self) -> None:
        """Lets go of requests that were cancelled while they waited."""
        with self._changed:
            self._waiting = deque([row for row in self._waiting if not row.is_cancelled()])

    def _wait(self) -> bool:
        """Waits for work; False at the end."""
        with self._changed:
            is_idle = not self._batches
            while not self._is_closed and not self._waiting and not self._batches:
                self._changed.wait()
        if is_idle:
            self._threads.begin()
        return not self._is_closed

    def _admitted(self) -> list[list[Row]]:
        """Those who wait and for whom there is room, in groups that are generated together."""
        groups: list[list[Row]] = []
        self._forget_cancelled()
        with self._changed:
            free = self._slots - self.busy()
            while self._waiting and free > 0:
                first = self._waiting[0]
                rows = [row for row in self._waiting if row is first or first.agrees_with(row)][:free]
                self._waiting = deque([row for row in self._waiting if row not in rows])
                groups.append(rows)
                free -= len(rows)
        return groups


def _failure(error: Exception, device: str) -> Exception:
    if isinstance(error, torch.OutOfMemoryError):
        return OutOfMemory(
            f"{device} has not enough memory for this request beside the others",
            hint="shorten it, or lower providers.candle.context_size or providers.candle.max_concurrent",
            details={"log": [str(error)]},
        )
    return error

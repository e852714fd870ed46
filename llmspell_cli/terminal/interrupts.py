"""Ctrl-C in a command that goes on after it: a key at the prompt, the end of a request under way, else remembered.

Knows signals, and neither terminals nor requests.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """While inside, SIGINT raises KeyboardInterrupt in a `cancellable` block only; elsewhere it stays pending.

    An exception that may strike anywhere would leave a terminal in raw mode or a request without its end.
    """

    def __init__(self) -> None:
        self._came = False
        self._act: Callable[[], None] = self.remember
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._strike)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        if kind is None and self.take() and callable(self._before):
            # Still pending: the caller's handler takes it.
            self._before(signal.SIGINT, None)

    def remember(self) -> None:
        """Keeps a Ctrl-C pending until `take` is called."""
        self._came = True

    def take(self) -> bool:
        """Returns whether a Ctrl-C is pending, and clears it."""
        came, self._came = self._came, False
        return came

    @contextmanager
    def cancellable(self) -> Iterator[None]:
        """Inside, Ctrl-C raises KeyboardInterrupt once; one that is pending does so on entry."""
        with self._acting(self._raise_once):
            self._raise_if_came()
            yield

    @contextmanager
    def received_by(self, wake: Callable[[], None]) -> Iterator[None]:
        """Inside, Ctrl-C is remembered and `wake` called: for a wait that looks at `take` itself."""

        def act() -> None:
            self.remember()
            wake()

        with self._acting(act):
            yield
        if self._act == self._raise_once:
            self._raise_if_came()

    @contextmanager
    def _acting(self, act: Callable[[], None]) -> Iterator[None]:
        before, self._act = self._act, act
        try:
            yield
        finally:
            self._act = before

    def _raise_if_came(self) -> None:
        if self.take():
            self._raise_once()

    def _raise_once(self) -> None:
        # A second one belongs to what comes after the cancelling, which must not be torn apart.
        self._act = self.remember
        raise KeyboardInterrupt

    def _strike(self, _number: int, _frame: FrameType | None) -> None:
        self._act()

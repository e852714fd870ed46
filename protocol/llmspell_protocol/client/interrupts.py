"""Ctrl-C between messages and never inside one, and never slept through. Knows only signals and descriptors."""

from __future__ import annotations

import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class HeldInterrupts:
    """While inside, SIGINT waits; on leaving, the handler in force gets it.

    A KeyboardInterrupt may strike between the taking of a frame off a socket and the keeping of it. Costs two
    sigaction(2) calls, about 10 µs; in threads other than the main one nothing, since they never see the exception.
    """

    __slots__ = ("_handler", "_held")

    def __enter__(self) -> None:
        self._held: list[tuple[int, FrameType | None]] = []
        self._handler: Any = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, lambda number, frame: self._held.append((number, frame)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handler is None:
            return
        signal.signal(signal.SIGINT, self._handler)
        if self._held:
            self._handler(*self._held[0])


class Sleep:
    """Waits for descriptors in a way that no signal is slept through.

    A signal that arrives after the interpreter's last look and before poll(2), or in another thread, would not end the
    wait; the byte that the interpreter writes to the wakeup descriptor does.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._poll.register(self._bell, select.POLLIN)
        self._closed = False

    def watch(self, fd: int) -> None:
        """From now on something readable here ends the wait."""
        self._poll.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Forgets a descriptor; before it is closed."""
        self._poll.unregister(fd)

    def __call__(self, timeout_ms: int | None) -> None:
        """Waits until a descriptor is readable, a signal came, or the time is over."""
        if threading.current_thread() is not threading.main_thread():
            self._poll.poll(timeout_ms)
            return
        before = signal.set_wakeup_fd(self._rope, warn_on_full_buffer=False)
        try:
            ready = self._poll.poll(timeout_ms)
        finally:
            signal.set_wakeup_fd(before)
        if any(fd == self._bell for fd, _ in ready):
            os.read(self._bell, 4096)

    def ring(self) -> None:
        """Ends the wait, or the next one: for a handler that raises nothing."""
        try:
            os.write(self._rope, b"\0")
        except BlockingIOError:
            pass  # It is full of signals, which end the wait as well.

    def close(self) -> None:
        """Closes its own descriptors."""
        if self._closed:
            return
        self._closed = True
        if threading.current_thread() is threading.main_thread():
            # An interrupt inside the wait's own ending may have left it in place.
            before = signal.set_wakeup_fd(-1)
            if before != self._rope:
                signal.set_wakeup_fd(before)
        os.close(self._bell)
        os.close(self._rope)

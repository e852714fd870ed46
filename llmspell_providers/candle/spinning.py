"""How long an engine's OpenMP threads spin at a barrier: short while others want their cores, long while they do not.

llama.cpp's threads meet some hundred times in one token. On cores of their own they spin until the last one is there:
to sleep and be woken takes a third of the speed. Beside a busy process one of them waits for its core, and the other
spins away the time in which it could run: on two cores 36 tokens a second were left of 150, and 82 with short spins
(decision 25). The number of threads cannot be changed in a loaded engine; libgomp, the usual OpenMP runtime on Linux,
shortens the spins of its own accord while a process has more OpenMP threads than cores. So where others are busy, a
team of threads that only sleep is there as well. Knows no engine.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path

from llmspell_providers.candle.cpu import FreeCores, usable_cores

_RUNTIME = "libgomp"
"""How its file is called, whether it is the system's or came with a wheel."""


class Spinning:
    """Fits the spins of one process's OpenMP threads to what others leave: `begin` with a reply, `fit` with its pieces.

    Both may be called from any thread, and cost nothing but a look at a clock four times out of five.
    """

    def __init__(
        self,
        threads: int,
        *,
        cores: FreeCores | None = None,
        start_team: Callable[[int], Callable[[], None]] | None = None,
    ) -> None:
        """`threads` are those of the engine; `start_team` makes so many sleeping ones and returns what ends them."""
        available = usable_cores()
        # A single thread has no barrier, and where cores are to spare none is waited for.
        self._cares = threads > 1 and (cores is not None or available <= threads)
        self._threads = threads
        self._sleepers = max(2, available - threads + 2)
        self._cores = cores or FreeCores(threads)
        self._start_team = start_team or sleeping_team()
        self._lock = threading.Lock()
        self._end_team: Callable[[], None] | None = None

    @property
    def short(self) -> bool:
        """Whether threads spin for a short time now."""
        return self._end_team is not None

    def begin(self) -> None:
        """A reply begins, perhaps after a rest."""
        if self._cares:
            self._spin(short=self._cores.begin() < self._threads)

    def fit(self) -> None:
        """A reply goes on."""
        if self._cares:
            self._spin(short=self._cores.now() < self._threads)

    def _spin(self, *, short: bool) -> None:
        if short == self.short:
            return
        with self._lock:
            if short and self._end_team is None:
                self._end_team = self._start_team(self._sleepers)
            elif not short and self._end_team is not None:
                self._end_team()
                self._end_team = None


def sleeping_team() -> Callable[[int], Callable[[], None]]:
    """What makes a team of sleeping threads of the libgomp that an engine has loaded; without one it does nothing."""
    runtime = _loaded_runtime()
    parallel = None if runtime is None else ctypes.CDLL(runtime).GOMP_parallel

    def start(count: int) -> Callable[[], None]:
        if parallel is None:
            return lambda: None
        over, ready = threading.Event(), threading.Event()

        def hold() -> None:
            # The work is a call that does nothing. Its threads then sleep until the one that called them ends.
            work = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
            parallel(work, None, ctypes.c_uint(count), ctypes.c_uint(0))
            ready.set()
            over.wait()

        threading.Thread(target=hold, name="sleepers", daemon=True).start()
        ready.wait()
        return over.set

    return start


def _loaded_runtime() -> str | None:
    try:
        mapped = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None  # outside Linux
    paths = (line.split(maxsplit=5)[5] for line in mapped if _RUNTIME in line)
    return next((path for path in paths if Path(path).name.startswith(_RUNTIME)), None)

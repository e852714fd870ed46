"""`ollama serve` on this machine: started when it is wanted and down, and ended only by the kernel that started it.

Knows processes and one address; whether the server there is a good one is a function's business.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import BackendUnavailable, Unavailable
from llmspell_protocol.worker_logs import open_log

START_DEADLINE_S = 20.0
_PAUSE_S = 0.05
_GRACE_S = 5.0
_SHOWN_LINES = 5
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGCHLD)


class OllamaDaemon:
    """The daemon for one URL of this machine; belongs to one event loop.

    `environment` is the kernel's: PATH says where `ollama` is, and Ollama's own variables count for what is started.
    """

    def __init__(self, base_url: str, *, environment: Mapping[str, str], log_path: Path) -> None:
        self._address = parse_address(base_url)
        self._environment = environment
        self._log_path = log_path
        self._pid: int | None = None
        self._ended: asyncio.Future[int] | None = None
        self._turn = asyncio.Lock()

    @property
    def has_died(self) -> bool:
        """Whether the process that was started here has ended by itself."""
        return self._ended is not None and self._ended.done()

    async def start(self, check: Callable[[], Awaitable[Any]]) -> None:
        """Starts the daemon and waits until `check` passes; concurrent callers share one start.

        Raises:
            BackendUnavailable: `check`'s own, when there is no `ollama` on PATH.
            Unavailable: it ended, or did not answer in time; the message has its last line.
        """
        async with self._turn:
            try:
                await check()
                return
            except BackendUnavailable:
                binary = shutil.which("ollama", path=self._environment.get("PATH"))
                if binary is None:
                    raise
            await self.stop()
            self._spawn(binary)
            await self._answering(check)

    async def stop(self) -> None:
        """Ends what `start` started: TERM, and KILL with all its children when that takes too long."""
        pid, ended = self._pid, self._ended
        if pid is None or ended is None:
            return
        if not ended.done():
            os.kill(pid, signal.SIGTERM)
            done, _ = await asyncio.wait([ended], timeout=_GRACE_S)
            if not done:
                os.killpg(pid, signal.SIGKILL)
                await asyncio.shield(ended)
        self._pid = self._ended = None

    def _spawn(self, binary: str) -> None:
        log_fd = open_log(self._log_path)
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        # It must not see keys of other services; everything else (GPUs, proxies, its own variables) may be.
        environment = {
            name: value
            for name, value in self._environment.items()
            if name.startswith("OLLAMA_") or not any(word in name.upper() for word in _SECRET)
        }
        environment["OLLAMA_HOST"] = f"{host}:{self._address.port}"
        try:
            # Not subprocess: an embedded kernel's thread blocks SIGINT, and only this can give the child a mask of its
            # own. In its own group, since a terminal's Ctrl-C is for the command.
            self._pid = os.posix_spawn(
                binary,
                [binary, "serve"],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log_fd, 1),
                    (os.POSIX_SPAWN_DUP2, log_fd, 2),
                ],
                setpgroup=0,
                setsigmask=[],
                setsigdef=_DEFAULTS,
            )
        except OSError as error:
            raise Unavailable(
                f"'{binary} serve' could not be started: {error.strerror}", hint="ollama serve, in a terminal"
            ) from None
        finally:
            os.close(log_fd)
        self._ended = asyncio.get_running_loop().create_future()
        # A thread of its own: one of the pool would keep the loop from closing.
        threading.Thread(target=_watch, args=(self._pid, self._ended), name="ollama-serve", daemon=True).start()

    async def _answering(self, check: Callable[[], Awaitable[Any]]) -> None:
        assert self._ended is not None
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                # Ollama does not signal when it listens, so that it has to be asked again and again.
                while True:
                    ended = self._ended.done()
                    try:
                        await check()
                        return
                    except BackendUnavailable as error:
                        if ended:
                            raise self._failed("ended at once", error) from None
                    await asyncio.wait([self._ended], timeout=_PAUSE_S)
        except TimeoutError:
            await self.stop()
            raise self._failed(f"does not answer after {START_DEADLINE_S:g} s", None) from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    def _logged(self) -> list[str]:
        if not self._log_path.is_file():
            return []
        try:
            return self._log_path.read_text("utf-8", "replace").splitlines()
        except OSError:
            return []

    def _failed(self, what: str, last: BackendUnavailable | None) -> BackendUnavailable:
        lines = self._logged()[-_SHOWN_LINES:]
        said = f": {lines[-1]}" if lines else ""
        return BackendUnavailable(
            f"'ollama serve' was started for {self._address.url} and {what}{said}",
            hint=f"see {self._log_path}, or run ollama serve in a terminal",
            details={**(last.details if last is not None else {}), "output": lines, "log": str(self._log_path)},
            retryable=False,
        )


def _watch(pid: int, ended: asyncio.Future[int]) -> None:
    # Not reaped here, so that the number stays the child's until the loop knows.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        ended.get_loop().call_soon_threadsafe(_reap, pid, ended)
    except RuntimeError:
        pass  # The loop has ended first; the result is not needed any more.


def _reap(pid: int, ended: asyncio.Future[int]) -> None:
    _, status = os.waitpid(pid, 0)
    ended.set_result(os.waitstatus_to_exitcode(status))

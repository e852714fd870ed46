"""Commands and kernels in processes of their own that need not start and import first: see `command_server.py`."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.command_server import SIZE_BYTES

_ROOT = Path(__file__).parents[2]
_OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
"""How the names begin of variables that an interpreter, or its C library, reads when it starts."""
_READ_LATER = ("PYTHON_KEYRING_BACKEND",)


class _Server:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", str(theirs.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        assert ours.recv(1) == b"\n", "the server of commands did not start"
        self._control = ours
        self._lock = threading.Lock()
        self._started_with = _of_the_start(os.environ)

    def end(self) -> None:
        self._control.close()
        self.process.wait()

    def can_be(self, environment: Mapping[str, str]) -> bool:
        return _of_the_start(environment) == self._started_with

    def send(self, request: bytes, fds: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(self._control, [len(request).to_bytes(SIZE_BYTES, "big")], fds)
            self._control.sendall(request)


def _of_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name.startswith(_OF_THE_START) and name not in _READ_LATER
    }


_servers: list[_Server] = []
_starting = threading.Lock()


def _server() -> _Server:
    with _starting:
        if not _servers:
            _servers.append(_Server())
        return _servers[0]


def server_pid() -> int | None:
    """The process id of the server; None before it is needed."""
    return _servers[0].process.pid if _servers else None


def end_server() -> None:
    """Ends the server, if it was needed."""
    while _servers:
        _servers.pop().end()


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether a process with this environment is the same forked as started."""
    return sys.platform == "linux" and _server().can_be(environment)


class Forked:
    """A running process, with the methods of `subprocess.Popen` that tests use.

    It runs the command line with `words`, or `module` as `python -m` does. `streams` are its standard streams, of which
    the caller keeps its own; `passed` are descriptors that it has by the same numbers. At a `terminal`, its standard
    input is the one that controls it. `before` is code that it runs first.
    """

    def __init__(
        self,
        words: Sequence[str],
        streams: tuple[int, int, int],
        *,
        module: str | None = None,
        environment: Mapping[str, str],
        cwd: Path | None = None,
        passed: Sequence[int] = (),
        terminal: bool = False,
        before: str = "",
    ) -> None:
        request = {
            "words": list(words),
            "module": module,
            "environment": dict(environment),
            "passed": list(passed),
            "terminal": terminal,
            "before": before,
        }
        self.returncode: int | None = None
        self.stderr_fd = -1
        ours, theirs = socket.socketpair()
        directory = os.open(cwd if cwd is not None else ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _server().send(json.dumps(request).encode(), [theirs.fileno(), directory, *streams, *passed])
        finally:
            theirs.close()
            os.close(directory)
        self._told = ours
        self._heard = b""
        self._hear(None)
        assert b"\n" in self._heard, "the process could not be forked"
        self.pid = int(self._heard.partition(b"\n")[0])

    def __del__(self) -> None:
        # A test that doesn't wait for its command leaves no descriptor to the garbage collector.
        if hasattr(self, "_told"):
            self._told.close()

    def poll(self) -> int | None:
        """The exit status (negative: the signal) if it has ended."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; returns the exit status.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, bytes]:
        """Reads `stderr_fd` to its end, closes it, and waits; raises as `wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        said = bytearray()
        while self.stderr_fd >= 0:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.stderr_fd], [], [], left)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            piece = os.read(self.stderr_fd, 1 << 16)
            said += piece
            if not piece:
                os.close(self.stderr_fd)
                self.stderr_fd = -1
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return None, bytes(said)

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _hear(self, timeout: float | None) -> None:
        if select.select([self._told], [], [], timeout)[0]:
            self._heard += self._told.recv(64)

    def _end(self) -> None:
        while self._heard.count(b"\n") < 2:
            before = len(self._heard)
            self._hear(None)
            assert len(self._heard) > before, "the process that waits for a forked one was ended"
        self.returncode = int(self._heard.split(b"\n")[1])
        self._told.close()


def run(
    words: Sequence[str],
    *,
    stdin: bytes,
    stdout: int | None,
    stderr: int | None,
    environment: Mapping[str, str],
    timeout_s: float,
    before: str = "",
) -> tuple[int, bytes, bytes]:
    """Runs one command to its end: its status, and what it said where no descriptor was given.

    Raises:
        subprocess.TimeoutExpired: it was ended after this time.
    """
    pipes = [os.pipe() for _ in range(3)]
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = pipes
    os.set_blocking(in_write, False)
    open_fds = {fd for pipe in pipes for fd in pipe}
    said = {out_read: bytearray(), err_read: bytearray()}
    deadline = time.monotonic() + timeout_s
    process = None
    try:
        streams = (in_read, out_write if stdout is None else stdout, err_write if stderr is None else stderr)
        process = Forked(words, streams, environment=environment, before=before)
        for fd in (in_read, out_write, err_write):
            _close(fd, open_fds)
        rest = memoryview(stdin)
        reading = set(said)
        while reading or rest:
            if not rest and in_write in open_fds:
                _close(in_write, open_fds)
            left = max(0.0, deadline - time.monotonic())
            readable, writable, _ = select.select(reading, [in_write] if rest else [], [], left)
            if not readable and not writable:
                raise subprocess.TimeoutExpired(list(words), timeout_s, bytes(said[out_read]), bytes(said[err_read]))
            if writable:
                rest = rest[_written(in_write, rest) :]
            for fd in readable:
                piece = os.read(fd, 1 << 16)
                said[fd] += piece
                if not piece:
                    reading.discard(fd)
        status = process.wait(max(0.0, deadline - time.monotonic()))
        return status, bytes(said[out_read]), bytes(said[err_read])
    finally:
        for fd in list(open_fds):
            _close(fd, open_fds)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _written(fd: int, data: memoryview) -> int:
    """How much a pipe has taken: all of it where nobody reads."""
    try:
        return os.write(fd, data[:65536])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)


def _close(fd: int, open_fds: set[int]) -> None:
    open_fds.discard(fd)
    os.close(fd)

"""Real kernels in processes of their own, for tests that talk to one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from tests.support.forked import Forked, can_be_forked


class KernelProcess:
    """`python -m llmspell_kernel` on free ports; ready when the constructor returns.

    `anew`: an interpreter starts for it, which has imported nothing yet.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        anew: bool = False,
    ):
        read_fd, write_fd = os.pipe()
        words = ["--port", "0", "--ready-fd", str(write_fd), *arguments]
        self.process = _started(words, write_fd, cwd, {**os.environ, **(env or {})}, anew=anew)
        os.close(write_fd)
        with os.fdopen(read_fd) as pipe:
            line = pipe.readline()
        if not line:
            _out, errors = self.process.communicate(timeout=60)
            raise RuntimeError(f"the kernel did not start: {errors.decode()}")
        self.started: dict[str, Any] = json.loads(line)
        if "error" in self.started:
            self.process.communicate(timeout=60)

    @property
    def info(self) -> ConnectionInfo:
        """How to connect."""
        return ConnectionInfo.read(Path(self.started["connection_file"]))

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self.process.pid

    def client(self) -> Client:
        """A connected client; the caller closes it."""
        return Client(self.info).connect(60.0)

    def signal(self, number: int) -> None:
        """Sends a signal to the kernel's process."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Waits for the end; returns the exit status."""
        _out, _errors = self.process.communicate(timeout=timeout_s)
        return self.process.returncode

    def stop(self) -> None:
        """Ends the kernel in order, or by force if it doesn't."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
        try:
            self.wait(60.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise


def _started(
    words: Sequence[str], passed: int, cwd: Path | None, environment: Mapping[str, str], *, anew: bool
) -> subprocess.Popen[bytes] | Forked:
    if anew or not can_be_forked(environment):
        command = [sys.executable, "-m", "llmspell_kernel", *words]
        return subprocess.Popen(command, pass_fds=(passed,), cwd=cwd, env=environment, stderr=subprocess.PIPE)
    err_read, err_write = os.pipe()
    try:
        streams = (0, 1, err_write)
        process = Forked(words, streams, module="llmspell_kernel", environment=environment, cwd=cwd, passed=(passed,))
    finally:
        os.close(err_write)
    process.stderr_fd = err_read
    return process

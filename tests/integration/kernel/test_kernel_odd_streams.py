"""A kernel whose remarks or log can't be written goes on, and so does what runs in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from tests.support import odd_streams
from tests.support.command_line import COMMAND
from tests.support.odd_streams import full, read_only, stuffed, unread

MODULE = (sys.executable, "-m", "llmspell_kernel", "--log-level", "debug")
IN_A_COMMAND = (*COMMAND, "--trace", "debug", "kernel", "start")
SMALL = 'ulimit -f 16; exec "$@"'
"""No file of the process may grow beyond 16 blocks of 1024 bytes."""
LIMIT_BYTES = 16 * 1024


@contextmanager
def served(command: tuple[str, ...], home: Path, stderr: IO[bytes]) -> Iterator[Client]:
    """A client of a kernel that was started with this standard error; it has to end in order."""
    reader, writer = os.pipe()
    ready = ["--ready-fd", str(writer)] if "llmspell_kernel" in command else []
    process = subprocess.Popen(
        [*command, "--port", "0", "--id", "odd", *ready], stdout=writer, stderr=stderr, pass_fds=(writer,)
    )
    os.close(writer)
    with os.fdopen(reader) as told:
        assert "odd" in told.readline()
        try:
            with Client(ConnectionInfo.read(home / "run" / "kernel-odd.json")).connect(60.0) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.mark.skipif(not Path(odd_streams.FULL).exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("odd", [full, unread, read_only, stuffed])
@pytest.mark.parametrize("command", [MODULE, IN_A_COMMAND], ids=["module", "command"])
def test_a_kernel_serves_whatever_its_standard_error_is(
    command: tuple[str, ...], odd: Callable[[], AbstractContextManager[IO[bytes]]], home: Path
) -> None:
    with odd() as stream, served(command, home, stream) as client:
        for number in range(20):
            reply = client.request("execute_request", {"code": f"Logger.warn('x') return {number}"}).result()
            assert (reply.content["status"], reply.content["execution_count"]) == ("ok", number + 1)


@pytest.mark.parametrize("command", [MODULE, IN_A_COMMAND], ids=["module", "command"])
def test_a_kernel_outlives_a_disk_that_fills_up_behind_its_log_and_its_standard_error(
    command: tuple[str, ...], home: Path, tmp_path: Path
) -> None:
    with (tmp_path / "err").open("wb") as err, served(("bash", "-c", SMALL, "bash", *command), home, err) as client:
        code = "for i = 1, 400 do Logger.warn(('x'):rep(100)) io.stderr:write('remark\\n') end"
        assert client.request("execute_request", {"code": code}).result().content["status"] == "ok"
        assert client.request("model_request", {"action": "list"}).result().content["count"] == 0
    assert (tmp_path / "err").stat().st_size == LIMIT_BYTES
    assert LIMIT_BYTES - 1024 < (home / "logs" / "kernel-odd.log").stat().st_size <= LIMIT_BYTES


def test_a_worker_outlives_a_log_that_has_no_room(home: Path) -> None:
    logs = home / "logs"
    logs.mkdir(mode=0o700)
    os.symlink(odd_streams.FULL, logs / "scripts.log")
    done = odd_streams.run(["exec", "return 1", "--json"])
    assert (done.status, json.loads(done.out)["result"]) == (0, 1)

"""A llama-server that cannot be used: binaries that are none, loads that fail or never end, devices it lacks.

The binaries that fail are scripts.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.errors import ConfigError, LlmspellError, ModelLoadFailed, Timeout, WorkerCrashed
from llmspell_providers.candle.loading import load_deadline_s
from llmspell_providers.candle.process import ModelProcess
from llmspell_providers.candle.server_binary import NEEDED, OLDEST_BUILD
from tests.support.command_line import Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.llama_server import launcher, stand_in
from tests.support.llama_server_launch import command_of, launch
from tests.support.turns import until

pytestmark = pytest.mark.slow
CRASH_DEADLINE_S = 60.0


def refused(smollm2_path: Path, tmp_path: Path, server: Path | None, **changes: Any) -> LlmspellError:
    """Why a model could not be loaded; nothing is left running."""
    with pytest.raises(LlmspellError) as caught:
        asyncio.run(ModelProcess.start(launch(smollm2_path, tmp_path, server, **changes), on_exit=lambda: None))
    assert not isinstance(caught.value, Timeout)
    assert caught.value.hint
    return caught.value


def _script(directory: Path, text: str) -> Path:
    path = directory / "llama-server"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _plain_file(directory: Path, text: str) -> Path:
    path = directory / "llama-server"
    path.write_text(text)
    return path


def _foreign_binary(directory: Path) -> Path:
    path = directory / "llama-server"
    path.write_bytes(b"\x7fELF" + bytes(64))
    path.chmod(0o755)
    return path


HELP = "\n".join(f"{flag} N" for flag in sorted(NEEDED - {"--cache-ram"}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "no llama-server was found on PATH"),
        (lambda directory: directory / "nowhere", "there is no llama-server at .*nowhere"),
        (lambda directory: directory, "there is no llama-server at"),
        (lambda directory: _plain_file(directory, "x"), "is not executable"),
        (_foreign_binary, "does not run on this machine"),
        (lambda directory: _script(directory, "kill -ILL $$"), "was built for another CPU"),
        (lambda directory: _script(directory, "kill -SEGV $$"), "--version ends with SIGSEGV"),
        (
            lambda directory: _script(directory, "echo libcuda.so.1 missing; exit 127"),
            "status 127: libcuda.so.1 missing",
        ),
        (
            lambda directory: _script(directory, "echo 'version: 4500 (abc)'"),
            f"too old: it is build 4500 .* {OLDEST_BUILD}",
        ),
        (lambda directory: _script(directory, "echo hello"), "is not a llama-server"),
        (lambda directory: _script(directory, f"echo 'version: 9000 (abc)\n{HELP}'"), "has no --cache-ram"),
    ],
)
def test_a_binary_that_cannot_be_used_is_a_config_error_that_says_why_and_what_to_do(
    make: Any, words: str, smollm2_path: Path, tmp_path: Path
) -> None:
    error = refused(smollm2_path, tmp_path, make(tmp_path))
    assert isinstance(error, ConfigError)
    with pytest.raises(ConfigError, match=words):
        raise error
    assert error.details["key"] == "providers.candle.server_path"


IS_ASKED = 'case "$1" in --version|--help|--list-devices) ;; *) {};; esac'


def test_a_server_that_meets_an_illegal_instruction_while_it_loads_was_built_for_another_cpu(
    smollm2_path: Path, tmp_path: Path
) -> None:
    error = refused(smollm2_path, tmp_path, stand_in(tmp_path, IS_ASKED.format("kill -ILL $$")))
    assert isinstance(error, WorkerCrashed)
    assert "built for another CPU" in error.message
    assert not error.retryable


def test_a_server_that_ends_while_it_loads_is_a_load_that_failed_with_its_last_lines(
    smollm2_path: Path, tmp_path: Path
) -> None:
    script = IS_ASKED.format("echo 'error: unknown model architecture' >&2; exit 1")
    error = refused(smollm2_path, tmp_path, stand_in(tmp_path, script))
    assert isinstance(error, ModelLoadFailed)
    assert "ended with status 1" in error.message
    assert error.details["log"][-1] == "error: unknown model architecture"


FOREIGN_LISTENER = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--host") + 1])
listener.listen()
while True:
    connection, _ = listener.accept()
    connection.recv(1 << 16)
    connection.sendall(b"220 not what you think\\r\\n")
    connection.close()
"""


def test_a_server_that_speaks_something_else_is_a_load_that_failed(smollm2_path: Path, tmp_path: Path) -> None:
    program = tmp_path / "foreign.py"
    program.write_text(FOREIGN_LISTENER)
    script = IS_ASKED.format(f"exec '{sys.executable}' '{program}' \"$@\"")
    error = refused(smollm2_path, tmp_path, stand_in(tmp_path, script))
    assert isinstance(error, ModelLoadFailed)
    assert "does not answer as one" in error.message


LOADS_FOR_EVER = """
import http.server, socketserver, sys
class Loading(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open(sys.argv[1], "a").write("asked\\n")
        self.send_error(503, "Loading model")
    def address_string(self):
        return "somebody"
socketserver.UnixStreamServer(sys.argv[sys.argv.index("--host") + 1], Loading).serve_forever()
"""


def _loads_for_ever(directory: Path) -> tuple[Path, Path]:
    """A server that says for ever that it loads its model, and the file that is there once it was asked."""
    program, asked = directory / "loads.py", directory / "asked"
    program.write_text(LOADS_FOR_EVER)
    return stand_in(directory, IS_ASKED.format(f"exec '{sys.executable}' '{program}' '{asked}' \"$@\"")), asked


def _running(program: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if str(program) in command_of(one)]


def test_a_load_that_never_ends_is_given_up_at_its_deadline(smollm2_path: Path, tmp_path: Path) -> None:
    server, asked = _loads_for_ever(tmp_path)
    error = refused(smollm2_path, tmp_path, server, load_deadline_s=2.0)
    assert isinstance(error, ModelLoadFailed)
    assert error.message == f"llama-server has not loaded '{smollm2_path.name}' after 2 s"
    assert str(tmp_path / "worker.log") in (error.hint or "")
    assert asked.exists()
    asyncio.run(until(lambda: _running(tmp_path / "loads.py") == [], deadline_s=CRASH_DEADLINE_S))


def test_the_deadline_of_a_load_leaves_time_for_the_slowest_disks() -> None:
    assert load_deadline_s(98_000_000) > 900
    # 40 GB at 5 MB a second.
    assert load_deadline_s(40_000_000_000) > 8000


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("how", ["ctrl_c", "timeout"])
def test_a_load_that_is_given_up_leaves_no_server(
    how: str, connected: bool, smollm2_path: Path, home: Path, tmp_path: Path
) -> None:
    server, asked = _loads_for_ever(tmp_path)
    environment = {
        "LLMSPELL_PROVIDERS__CANDLE__ENGINE": "llama-server",
        "LLMSPELL_PROVIDERS__CANDLE__SERVER_PATH": str(server),
    }
    assert llmspell("-p", "candle", "model", "pull", smollm2_path.as_uri()).status == 0
    name = f"{smollm2_path.stem}@candle"
    kernel = KernelProcess(["--profile", "candle"], env=environment) if connected else None
    where = ["--connect", str(kernel.started["connection_file"])] if kernel else ["-p", "candle"]
    limit = ["--timeout", "6"] if how == "timeout" else []
    try:
        command = Running(*where, "chat", name, "--message", "hi", *limit, env=environment)
        asyncio.run(until(asked.exists, deadline_s=30.0))
        assert _running(tmp_path / "loads.py") != []
        if how == "ctrl_c":
            command.interrupt()
        assert command.done().status == (130 if how == "ctrl_c" else 5)
        asyncio.run(until(lambda: _running(tmp_path / "loads.py") == [], deadline_s=CRASH_DEADLINE_S))
        if kernel:
            assert llmspell(*where, "model", "ps", "--json").document["models"] == []
    finally:
        if kernel:
            kernel.stop()


def test_a_device_that_the_binary_does_not_list_is_refused(smollm2_path: Path, tmp_path: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("about CUDA")
    error = refused(smollm2_path, tmp_path, launcher(tmp_path), device="cuda")
    assert isinstance(error, ConfigError)
    assert "looked for cuda:0" in error.message

"""Nothing of an engine stays behind, however a command or a worker ends; doctor finds what a kill has left."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmspell_providers.candle.socket_directory import PREFIX, SocketDirectory
from tests.support.command_line import Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.turns import until

pytestmark = pytest.mark.slow

STORY = ("--message", "Write a very long story.")


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smollm2_path: Path) -> Iterator[Path]:
    """Where engines put their socket files; the model `m` is installed."""
    place = Path(tempfile.mkdtemp(dir="/tmp", prefix="lt-"))
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (home / "config.toml").write_text("[providers.candle]\ncontext_size = 512\nmax_concurrent = 1\n")
    link = tmp_path / "m.gguf"
    link.symlink_to(smollm2_path)
    assert llmspell("model", "pull", f"file://{link}@candle").status == 0
    yield place
    for path in place.iterdir():
        assert not path.name.startswith(PREFIX), f"{path.name} was left behind"
    place.rmdir()


def _left(place: Path) -> list[Path]:
    return list(place.glob(f"{PREFIX}*"))


def _answering(*words: str) -> Running:
    command = Running(*words, "chat", "m@candle", *STORY)
    command.wait_for(" ")
    return command


@pytest.mark.parametrize("times", [1, 2], ids=["once", "as timeout does"])
def test_a_command_that_is_told_to_end_takes_its_engine_along(times: int, place: Path) -> None:
    command = _answering()
    assert _left(place)
    for _ in range(times):
        command.process.send_signal(signal.SIGTERM)
    assert command.done().status == 128 + signal.SIGTERM


def test_a_command_whose_terminal_goes_while_it_loads_leaves_nothing(place: Path) -> None:
    command = Running("chat", "m@candle", *STORY)
    asyncio.run(until(lambda: bool(_left(place))))
    command.process.send_signal(signal.SIGHUP)
    command.done()


def test_what_a_killed_command_has_left_goes_with_the_next_load(place: Path) -> None:
    command = _answering()
    workers = psutil.Process(command.process.pid).children(recursive=True)
    command.process.kill()
    command.done()
    psutil.wait_procs(workers, 20)
    assert _left(place)
    assert llmspell("chat", "m@candle", "--message", "hi", "--max-tokens", "1").status == 0
    assert not _left(place)


def test_doctor_finds_what_is_left_and_clears_it_and_leaves_alone_what_is_in_use(home: Path) -> None:
    used, left = SocketDirectory(), SocketDirectory()
    os.close(left._fd)
    said = llmspell("doctor", "--offline", "--json").document
    files = next(one for one in said["checks"] if one["name"] == "files")
    assert files["status"] == "warn"
    assert str(left.path) in str(files)
    assert str(used.path) not in str(files)
    assert "remove 1 directory of ended engines" in llmspell("doctor", "--offline", "--fix", "--yes").out
    assert (used.path.exists(), left.path.exists()) == (True, False)
    used.remove()


def test_the_log_tells_of_the_load_and_of_the_end_of_a_killed_worker(place: Path) -> None:
    kernel = KernelProcess()
    log = Path(kernel.started["log_file"])
    try:
        with kernel.client() as client:
            load = {"action": "load", "model": "m@candle"}
            loaded = client.request("model_request", load).result().content
            os.kill(loaded["pid"], signal.SIGKILL)
            asyncio.run(until(lambda: "ended by signal SIGKILL" in log.read_text()))
            assert not _left(place)
            client.request("model_request", load).result()
            client.request("model_request", {"action": "unload", "model": "m@candle"}).result()
    finally:
        kernel.stop()
    said = log.read_text()
    assert "[INFO] loaded m@candle: " in said
    assert f"PID {loaded['pid']}" in said
    assert f"[ERROR] the worker of m (PID {loaded['pid']}) ended by signal SIGKILL with 0 open requests" in said
    assert "[INFO] unloads m@candle (" in said
    assert "): it was asked for" in said

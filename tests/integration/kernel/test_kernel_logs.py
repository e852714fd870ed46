"""A real kernel's log: its lines in both forms, which request each is about, rotation, and a disk that is full."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_cli.kernels.log_tail import Follower
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import ConfigError, error_from_content
from llmspell_protocol.log_lines import LogLine, log_files, read_lines
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.steering import ask_kernel

ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


def lines(kernel: KernelProcess) -> list[LogLine]:
    return list(read_lines(Path(kernel.started["log_file"]).read_text().splitlines()))


def only(kernel: KernelProcess, text: str) -> LogLine:
    [line] = [line for line in lines(kernel) if text in line.message]
    return line


@pytest.fixture(params=["text", "json"])
def kernel(request: pytest.FixtureRequest, home: Path) -> Iterator[KernelProcess]:
    """A kernel that logs all, in either form."""
    process = KernelProcess(["--log-level", "trace", "--log-format", request.param, "--id", "logging"])
    yield process
    process.stop()


def test_the_log_tells_of_the_kernels_life(kernel: KernelProcess) -> None:
    info = kernel.info
    kernel.stop()
    first, *_, last = [line for line in lines(kernel) if line.level == "info"]
    assert first.message == f"kernel logging (PID {kernel.pid}) answers on {info.address}"
    assert first.target == "llmspell_kernel.start"
    assert last.message == "kernel logging has ended"
    assert first.ts < last.ts
    assert first.request_id is None


def test_a_line_names_the_request_that_it_is_about(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        fine = client.request("model_request", {"action": "list"})
        fine.result()
        wrong = client.request("model_request", {"action": "nonsense"})
        with pytest.raises(Exception, match="no action 'nonsense'"):
            wrong.result()
    assert only(kernel, "model_request list: done in ").request_id == fine.msg_id
    assert only(kernel, "model_request nonsense: invalid_request").request_id == wrong.msg_id


def test_what_a_script_logs_is_of_the_request_that_runs_it(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        first = client.request("execute_request", {"code": "Logger.warn('first')"})
        first.result()
        second = client.request("execute_request", {"code": "Logger.warn('second') LocalLLM.list()"})
        second.result()
        alone = client.request("execute_request", {"code": "Logger.warn('alone')"}, metadata=ISOLATED)
        alone.result()
    assert only(kernel, "first").request_id == first.msg_id
    assert only(kernel, "second").request_id == second.msg_id, "not that of the cell for which the worker was started"
    assert only(kernel, "alone").request_id == alone.msg_id
    asked = only(kernel, "model_request list: done").request_id
    assert asked is not None
    assert asked.startswith(f"{second.msg_id}."), "a script's own request has the id of its execute and more"


def test_the_kernel_hands_out_its_last_lines(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask_kernel(client, "status")
        [last] = ask_kernel(client, "logs", lines=1)["lines"]
        [entry] = read_lines([last])
        assert entry.message.startswith("kernel_request status: done")


def test_a_terminal_gets_lines_for_people(home: Path) -> None:
    kernel = KernelProcess(["--log-level", "info", "--log-format", "json"])
    kernel.process.send_signal(15)
    _out, err = kernel.process.communicate(timeout=20)
    assert " [INFO] kernel " in err.decode().splitlines()[0]


def test_a_log_that_grows_is_rotated_and_packed_and_can_be_read_back(home: Path) -> None:
    kernel = KernelProcess(["--log-level", "debug", "--log-rotate-size", "2000", "--log-rotate-count", "2"])
    log = Path(kernel.started["log_file"])
    with kernel.client() as client:
        for _ in range(60):
            ask_kernel(client, "status")
        last = ask_kernel(client, "logs", lines=30)["lines"]
    kernel.stop()
    assert [path.name for path in log_files(log)] == [log.name, f"{log.name}.1.gz", f"{log.name}.2.gz"]
    assert log.stat().st_size <= 2000
    assert len(last) == 30, "more than the newest file holds"
    assert len({line.split("request_id=")[1] for line in last}) == 30


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_does_not_hurt_the_kernel(home: Path, tmp_path: Path) -> None:
    log = tmp_path / "full.log"
    log.symlink_to("/dev/full")
    kernel = KernelProcess(["--log-level", "debug", "--log-file", str(log), "--daemon"])
    with kernel.client() as client:
        for _ in range(3):
            ask_kernel(client, "status")
        log.unlink()
        ask_kernel(client, "status")
    kernel.process.send_signal(15)
    _out, err = kernel.process.communicate(timeout=20)
    assert (kernel.process.returncode, err) == (0, b"")
    assert log.read_text().splitlines()[0].endswith("lines are missing here: No space left on device")


def test_a_log_that_can_not_be_written_is_said_at_the_start(home: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.log").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "taken.log", tmp_path / "file" / "x.log"):
        kernel = KernelProcess(["--log-file", str(path), "--daemon"])
        error = error_from_content(kernel.started["error"])
        assert isinstance(error, ConfigError)
        assert str(path) in error.message or str(path.parent) in error.message
        assert kernel.process.returncode == 2
    assert list((home / "run").iterdir()) == []


def test_a_reload_by_a_signal_says_what_it_could_not_change(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "llmspell.toml"
    config.write_text("")
    kernel = KernelProcess(["--config", str(config), "--id", "re", "--log-level", "warn"])
    try:
        config.write_text("[kernel.security]\ncurve = 'off'\n")
        with Follower(Path(kernel.started["log_file"])) as log:
            kernel.signal(signal.SIGHUP)
            [entry] = next(iter(log))
    finally:
        kernel.stop()
    assert entry.lines[0].endswith("[WARN] changed, but needs a restart: kernel.security.curve")


def test_clients_of_other_kernels_do_not_appear(kernel: KernelProcess, home: Path) -> None:
    other = KernelProcess(["--log-level", "debug", "--id", "other"])
    try:
        with Client(other.info).connect(60.0) as client:
            asked = client.request("kernel_request", {"action": "status"})
            asked.result()
    finally:
        other.stop()
    assert asked.msg_id not in Path(kernel.started["log_file"]).read_text()
    assert asked.msg_id in Path(other.started["log_file"]).read_text()


def test_a_command_with_a_kernel_of_its_own_says_nothing_of_the_kernels_life(home: Path) -> None:
    done = llmspell("-p", "candle", "exec", "return 1")  # whose log level is info
    assert (done.status, done.out, done.err) == (0, "1\n", "")

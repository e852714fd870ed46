"""Starts that cannot be: a second kernel of one id, eight at once, a taken port, an address or a home refused."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmspell_protocol.connection import ConnectionInfo, Transport
from llmspell_protocol.discovery import running_kernels
from llmspell_protocol.errors import Busy, ConfigError, LlmspellError, Unsupported, error_from_content
from tests.support.kernels import KernelProcess
from tests.support.steering import ask_kernel


def test_two_kernels_of_one_id_cannot_run(kernel: KernelProcess) -> None:
    refused = KernelProcess(["--id", kernel.started["id"]])

    error = error_from_content(refused.started["error"])
    assert isinstance(error, Busy)
    assert error.message == f"Kernel daemon already running with PID file {kernel.started['pid_file']}"


STARTS = 8


def start_at_once(words: Callable[[int], list[str]]) -> tuple[KernelProcess, list[KernelProcess]]:
    """Eight kernels that are started at the same moment: the one that runs, and the others."""
    with ThreadPoolExecutor(STARTS) as pool:
        kernels = list(pool.map(lambda number: KernelProcess(words(number)), range(STARTS)))
    running = [kernel for kernel in kernels if "error" not in kernel.started]
    try:
        assert len(running) == 1
    except AssertionError:
        for kernel in running:
            kernel.stop()
        raise
    return running[0], [kernel for kernel in kernels if kernel is not running[0]]


def test_of_eight_starts_at_once_with_one_id_exactly_one_wins(home: Path) -> None:
    winner, others = start_at_once(lambda _: ["--id", "same", "--daemon"])
    try:
        for refused in others:
            error = error_from_content(refused.started["error"])
            assert error.message == f"Kernel daemon already running with PID file {winner.started['pid_file']}"
            assert (error.code, refused.process.returncode) == ("busy", 1)
        assert Path(winner.started["pid_file"]).read_text() == f"{winner.pid}\n"
        with winner.client() as client:
            assert ask_kernel(client, "status")["id"] == "same"
    finally:
        winner.stop()
    assert list((home / "run").iterdir()) == []


def test_of_eight_starts_at_once_with_one_pid_file_exactly_one_wins(home: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "the.pid"
    winner, others = start_at_once(lambda number: ["--id", f"k{number}", "--pid-file", str(pid_file), "--daemon"])
    try:
        for refused in others:
            error = error_from_content(refused.started["error"])
            assert error.message == f"Kernel daemon already running with PID file {pid_file}"
            assert refused.process.returncode == 1
        assert pid_file.read_text() == f"{winner.pid}\n"
        assert [info.id for info in running_kernels(home / "run")] == [winner.started["id"]]
    finally:
        winner.stop()
    assert not pid_file.exists()
    assert list((home / "run").iterdir()) == []


def test_a_start_that_failed_leaves_no_empty_log(kernel: KernelProcess, home: Path) -> None:
    for words in (["--port", str(kernel.started["port"]), "--id", "other"], ["--id", kernel.started["id"]]):
        assert "error" in KernelProcess([*words, "--daemon"]).started
    assert [path.name for path in (home / "logs").iterdir() if path.name.startswith("kernel-")] == [
        Path(kernel.started["log_file"]).name
    ]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--config", "wrong.toml"], "config_error", "wrong.toml:1 kernel.drain_timeout_seconds: expected an integer"),
        (["--profile", "nonsense"], "profile_not_found", "Builtin profile 'nonsense' not found"),
        (["--pid-file", "nowhere/a.pid"], "config_error", "cannot write the PID file nowhere/a.pid"),
        (["--log-file", "wrong.toml/a.log"], "config_error", "cannot use the directory wrong.toml"),
        (["-f", "nowhere/a.json"], "config_error", "cannot write the connection file nowhere/a.json"),
        (["-f", "wrong.toml"], "config_error", "wrong.toml"),
        (["--id", "a/b"], "invalid_request", "'a/b' is not a kernel id"),
    ],
)
def test_a_failed_start_tells_the_waiting_process_why(
    words: list[str], code: str, reason: str, home: Path, tmp_path: Path
) -> None:
    Path("wrong.toml").write_text("kernel.drain_timeout_seconds = 'x'\n")
    refused = KernelProcess([*words, "--daemon"])
    error = refused.started["error"]
    assert (error["code"], reason in error["message"]) == (code, True), error
    assert refused.process.returncode == error_from_content(error).exit_status
    assert list((home / "run").glob("*")) == []


def test_a_home_that_is_no_directory_is_told_as_well(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = KernelProcess(["--daemon"], env={"LLMSPELL_HOME": str(tmp_path / "file")})
    assert "cannot use the directory" in refused.started["error"]["message"]


def test_even_a_defect_at_the_start_is_told_with_its_name(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import zmq\ndef broken(*_): raise RuntimeError('no sockets today')\nzmq.Context = broken\n"
    )
    refused = KernelProcess(["--daemon"], env={"PYTHONPATH": str(tmp_path)})
    error = refused.started["error"]
    assert (error["code"], error["message"]) == (
        "internal",
        "the kernel could not start: RuntimeError: no sockets today",
    )
    [log] = (home / "logs").glob("kernel-*.log")
    assert "RuntimeError: no sockets today" in log.read_text(), "with its traceback"
    assert refused.process.returncode == 1
    assert list((home / "run").iterdir()) == []


def test_a_port_taken_by_a_kernel_of_ours_is_explained_with_its_id(kernel: KernelProcess) -> None:
    refused = KernelProcess(["--port", str(kernel.started["port"]), "--id", "other"])

    error = error_from_content(refused.started["error"])
    assert (
        error.message
        == f"port {kernel.started['port']} is taken by kernel '{kernel.started['id']}' (PID: {kernel.pid})"
    )
    assert error.exit_status == 1


def test_a_port_taken_by_another_program_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port > 65_531:
            port -= 4
        refused = KernelProcess(["--port", str(port), "--id", "other"])

    assert "is taken" in refused.started["error"]["message"]
    assert list((home / "run").iterdir()) == []


def test_a_host_that_is_not_this_machine_needs_permission(home: Path) -> None:
    refused = KernelProcess(["--host", "0.0.0.0"])

    assert isinstance(error_from_content(refused.started["error"]), ConfigError)
    assert "allow_remote" in refused.started["error"]["message"]


def test_no_permission_and_no_connection_file_opens_a_port_to_other_machines_unencrypted(
    home: Path, tmp_path: Path
) -> None:
    permission = tmp_path / "remote.toml"
    permission.write_text('[kernel]\nhost = "0.0.0.0"\nsecurity.allow_remote = true\n')
    front = tmp_path / "kernel-front.json"
    ConnectionInfo.consecutive("0.0.0.0", 21_000, "k" * 32).write(front)

    for words in (["--config", str(permission)], ["-f", str(front)]):
        refused = KernelProcess(words)
        assert isinstance(error_from_content(refused.started["error"]), Unsupported)
    assert "'0.0.0.0' is not a loopback address" in refused.started["error"]["message"]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_no_connection_file_makes_a_kernel_that_takes_unsigned_messages(
    home: Path, tmp_path: Path, transport: Transport
) -> None:
    front = tmp_path / "kernel-front.json"
    ip = "127.0.0.1" if transport == "tcp" else str(tmp_path / "socket")
    ConnectionInfo.consecutive(ip, 21_000, "")._replace(transport=transport).write(front)
    refused = KernelProcess(["-f", str(front)]).started["error"]
    assert isinstance(error_from_content(refused), ConfigError)
    assert ("has no key" in refused["message"], "Session.key" in refused["hint"]) == (True, True)
    assert list(tmp_path.glob("socket*")) == []


def test_required_encryption_is_refused_and_not_ignored(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "curve.toml"
    config.write_text('kernel.security.curve = "required"\n')
    refused = KernelProcess(["--config", str(config)])
    assert isinstance(error_from_content(refused.started["error"]), Unsupported)
    assert "kernel.security.curve" in refused.started["error"]["message"]


def test_a_kernel_outlives_the_directory_that_it_was_started_in(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    kernel = KernelProcess(cwd=place)
    try:
        place.rmdir()
        with kernel.client() as client:
            for msg_type, content in (
                ("execute_request", {"code": "return 1"}),
                ("kernel_request", {"action": "reload_config"}),
            ):
                assert client.request(msg_type, content).result().content["status"] == "ok"
            missing = client.request("execute_request", {"code": "require('x')"})
            with pytest.raises(LlmspellError, match="files of scripts need a kernel on this machine"):
                missing.result()
    finally:
        kernel.stop()

"""`kernel start`, `stop` and `status` with real kernels, in the foreground and as daemons."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.discovery import running_kernels
from tests.support.command_line import Running, llmspell
from tests.support.kernels import KernelProcess


@pytest.fixture
def daemon(home: Path) -> Iterator[dict[str, Any]]:
    """What `kernel start --daemon` said; the kernel is stopped afterwards."""
    done = llmspell("kernel", "start", "--daemon", "--port", "0", "--id", "background", "--json")
    assert done.status == 0, done.err
    yield done.document
    llmspell("kernel", "stop", "--all", "--force")


def test_a_daemon_says_all_about_itself_when_it_answers(daemon: dict[str, Any], home: Path) -> None:
    assert set(daemon) == {
        *("status", "id", "pid", "host", "port", "ports", "transport"),
        *("connection_file", "pid_file", "log_file", "daemon", "url"),
    }
    assert (daemon["status"], daemon["id"], daemon["daemon"]) == ("started", "background", True)
    assert stat.S_IMODE(os.stat(daemon["connection_file"]).st_mode) == 0o600
    assert llmspell("--connect", "background", "chat", "mock/a", "--message", "hi").out == "[mock/a] hi\n"
    assert llmspell("--connect", daemon["url"], "chat", "mock/a", "--message", "hi").status == 0
    assert llmspell("chat", "mock/a", "--message", "hi", "--connect", f"localhost:{daemon['port']}").status == 0
    assert llmspell("chat", "mock/a", "--message", "hi", env={"LLMSPELL_CONNECT": "auto"}).status == 0


def test_a_daemon_lives_in_a_session_of_its_own(daemon: dict[str, Any]) -> None:
    assert os.getsid(daemon["pid"]) == daemon["pid"]


def test_text_shows_the_place_but_the_key_only_on_a_terminal(home: Path) -> None:
    done = llmspell("kernel", "start", "--daemon", "--port", "0")
    try:
        lines = done.out.splitlines()
        assert lines[0].startswith("Kernel pid-")
        assert [line.split(":")[0].strip() for line in lines[1:]] == ["Address", "Connection file", "Log file"]
        assert "key=" not in done.out + done.err
    finally:
        llmspell("kernel", "stop", "--all")


def test_the_foreground_serves_until_ctrl_c_and_ends_with_0(home: Path) -> None:
    running = Running("kernel", "start", "--port", "0", "--id", "front")
    running.wait_for("Press Ctrl+C to stop")
    assert llmspell("--connect", "front", "chat", "mock/a", "--message", "x").out == "[mock/a] x\n"
    running.interrupt()
    done = running.done()
    assert done.status == 0
    assert all("[INFO]" in line for line in done.err.splitlines())
    assert done.out.splitlines()[-1] == "Kernel front stopped"
    assert list((home / "run").iterdir()) == []


def test_the_foreground_in_json_mode_is_one_document(home: Path) -> None:
    running = Running("kernel", "start", "--port", "0", "--json")
    running.wait_for("\n}\n")
    running.process.send_signal(signal.SIGTERM)
    done = running.done()
    assert done.status == 0
    assert done.document["daemon"] is False


def test_a_second_kernel_of_one_id_names_the_pid_file(daemon: dict[str, Any]) -> None:
    for extra in (["--daemon"], []):
        done = llmspell("kernel", "start", "--port", "0", "--id", "background", *extra)
        assert done.status == 1
        assert done.err.splitlines()[0] == f"Error: Kernel daemon already running with PID file {daemon['pid_file']}"


def test_a_taken_port_is_named_with_the_kernel_that_has_it(daemon: dict[str, Any]) -> None:
    done = llmspell("kernel", "start", "--port", str(daemon["port"]), "--daemon")
    assert done.status == 1
    assert f"port {daemon['port']} is taken by kernel 'background'" in done.err


def test_a_port_taken_by_another_program_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = llmspell("kernel", "start", "--port", str(port), "--daemon", "--json")
    assert done.status == 1
    assert str(port) in done.error["message"]


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--id", "a/b"], ["-p", "nosuch"], ["-c", "nosuch.toml"]])
def test_a_start_that_can_not_be_is_refused_before_it_detaches(words: list[str], home: Path) -> None:
    for extra in (["--daemon"], []):
        done = llmspell("kernel", "start", "--port", "0", *words, *extra)
        assert done.status == (3 if "-p" in words else 2)
        assert done.err.startswith("Error: ")
        assert "Traceback" not in done.err


def test_stop_drains_and_leaves_nothing(daemon: dict[str, Any], home: Path) -> None:
    done = llmspell("kernel", "stop", "background")
    assert done.status == 0
    assert done.out == (
        f"Stopping kernel background (PID: {daemon['pid']})\n"
        "✓ Kernel background stopped successfully\n"
        "\n"
        "✓ Successfully stopped 1 kernel(s)\n"
    )
    assert running_kernels(home / "run") == []
    assert list((home / "run").iterdir()) == []
    assert Path(daemon["log_file"]).exists()


@pytest.mark.parametrize(
    "way", [["--id", "background"], [], ["--all"], ["--connect", "background"], ["PIDFILE"], ["--force"]]
)
def test_there_are_many_ways_to_name_the_one_kernel(way: list[str], daemon: dict[str, Any], home: Path) -> None:
    words = ["--pid-file", daemon["pid_file"]] if way == ["PIDFILE"] else way
    done = llmspell("kernel", "stop", "--json", *words)
    assert done.status == 0
    (stopped,) = done.document["stopped"]
    assert (stopped["id"], stopped["pid"], stopped["forced"]) == ("background", daemon["pid"], way == ["--force"])
    assert done.document["count"] == 1
    assert running_kernels(home / "run") == []
    assert list((home / "run").glob("*.json")) == []


def test_no_cleanup_keeps_the_files(daemon: dict[str, Any], home: Path) -> None:
    before = Path(daemon["connection_file"]).read_text()
    assert llmspell("kernel", "stop", "--no-cleanup").status == 0
    assert Path(daemon["connection_file"]).read_text() == before
    assert stat.S_IMODE(os.stat(daemon["connection_file"]).st_mode) == 0o600


def test_a_stopped_process_that_does_not_answer_is_killed_after_the_timeout(daemon: dict[str, Any]) -> None:
    os.kill(daemon["pid"], signal.SIGSTOP)
    done = llmspell("kernel", "stop", "--timeout", "0.2", "--json")
    assert done.status == 0
    assert done.document["stopped"][0]["forced"] is True


def test_a_pid_file_of_something_else_is_refused(daemon: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "other.pid"
    path.write_text(f"{os.getpid()}\n")
    done = llmspell("kernel", "stop", "--pid-file", str(path))
    assert done.status == 3
    assert done.err.startswith(f"Error: {path} names no running kernel of yours")


def test_stopping_where_no_kernel_runs_says_so(home: Path) -> None:
    assert llmspell("kernel", "stop", "--all").out == "No kernels found to stop\n"
    done = llmspell("kernel", "stop")
    assert (done.status, done.err) == (4, "Error: no kernel is running\nHint: llmspell kernel start --daemon\n")
    done = llmspell("kernel", "stop", "x")
    assert (done.status, done.err.splitlines()[0]) == (3, "Error: Kernel 'x' not found")


def test_several_kernels_must_be_told_apart(daemon: dict[str, Any], home: Path) -> None:
    other = KernelProcess(["--id", "other"])
    try:
        done = llmspell("kernel", "stop")
        assert (done.status, done.err) == (
            2,
            "Error: several kernels are running: background, other\nHint: llmspell kernel stop background, or --all\n",
        )
        assert llmspell("model", "ps", "--json").document["kernel"] == "other"  # the newest
        assert llmspell("kernel", "status", "-q").out == "other\nbackground\n"
        assert llmspell("kernel", "stop", "--all").out.endswith("✓ Successfully stopped 2 kernel(s)\n")
    finally:
        other.stop()


def test_status_lists_kernels_in_every_format(daemon: dict[str, Any]) -> None:
    table = llmspell("kernel", "status").out.splitlines()
    assert table[0].split() == ["ID", "PID", "Port", "Status", "CPU%", "Memory", "Clients", "Models", "Uptime"]
    assert table[1].split()[:4] == ["background", str(daemon["pid"]), str(daemon["port"]), "Idle"]
    text = llmspell("kernel", "status", "--format", "text").out
    assert text.startswith(f"background: PID={daemon['pid']} Port={daemon['port']} Status=Idle CPU=")
    properties = llmspell("kernel", "status", "background").out
    for name in ("Connection file", "Log file", "Open files", "Queue", "Last activity"):
        assert f"\n{name}:" in properties
    assert llmspell("kernel", "status", "--url").out == daemon["url"] + "\n"


def test_status_as_json_has_every_key(daemon: dict[str, Any]) -> None:
    document = llmspell("kernel", "status", "--json").document
    assert document["count"] == 1
    (kernel,) = document["kernels"]
    assert set(kernel) == {
        *(
            "id",
            "pid",
            "port",
            "status",
            "profile",
            "connection_file",
            "pid_file",
            "log_file",
            "start_time",
            "metrics",
            "notebooks",
        )
    }
    assert set(kernel["metrics"]) == {
        *("cpu_percent", "memory_bytes", "memory_percent", "open_files", "active_connections"),
        *("uptime_s", "last_activity", "models_loaded", "queue"),
    }
    assert kernel["metrics"]["memory_bytes"] > 1_000_000


def test_status_of_none_and_of_an_unknown_one(home: Path) -> None:
    assert llmspell("kernel", "status").out == "No kernels currently running\n"
    assert llmspell("kernel", "status", "--json").document == {"kernels": [], "count": 0}
    assert llmspell("kernel", "status", "x").status == 3


def test_status_removes_what_a_killed_kernel_left(daemon: dict[str, Any], home: Path) -> None:
    os.kill(daemon["pid"], signal.SIGKILL)
    running = Running("kernel", "status", "--watch", "--json", "--interval", "0.1")
    running.wait_for('"count": 0')
    running.interrupt()
    assert running.done().status == 0
    assert list((home / "run").glob("*.json")) == []


def test_watching_ends_with_ctrl_c(daemon: dict[str, Any]) -> None:
    running = Running("kernel", "status", "--watch", "--json", "--interval", "0.1")
    running.wait_for("\n")
    running.interrupt()
    done = running.done()
    assert (done.status, done.err) == (0, "")
    assert all(json.loads(line)["count"] == 1 for line in done.out.splitlines())


def test_a_wrong_key_is_told_apart_from_no_kernel(daemon: dict[str, Any]) -> None:
    address = f"127.0.0.1:{daemon['port']}"
    done = llmspell("--connect", f"llmspell://{address}?key=wrong", "model", "status")
    assert (done.status, done.err.splitlines()[0]) == (4, f"Error: the kernel at {address} does not accept the key")


@pytest.mark.parametrize("target", ["auto", "nosuch", "127.0.0.1:1", "nosuch.json"])
def test_a_kernel_that_is_not_there_is_an_error_with_a_hint(target: str, home: Path) -> None:
    done = llmspell("--connect", target, "model", "status")
    assert done.status == (3 if target.startswith("nosuch") else 4)
    assert done.err.splitlines()[1].startswith("Hint: ")


def test_resident_commands_need_a_kernel(home: Path) -> None:
    done = llmspell("model", "load", "mock/a")
    assert (done.status, done.err) == (4, "Error: no kernel is running\nHint: llmspell kernel start --daemon\n")
    for words in (["ps"], ["unload", "--all"], ["unload", "mock/a"]):
        done = llmspell("model", *words)
        assert (done.status, done.err) == (4, "Error: nothing is loaded: no kernel is running\n")


def test_resident_commands_find_the_one_kernel(daemon: dict[str, Any]) -> None:
    assert llmspell("model", "ps").out == "No models loaded\n"
    assert llmspell("model", "load", "mock/a").out.startswith("✓ Loaded mock/a")
    assert "mock/a" in llmspell("model", "ps").out
    assert llmspell("model", "unload", "--all").out.startswith("✓ Unloaded mock/a@mock")


def test_a_profile_beside_a_connection_is_not_applied_and_that_is_said(daemon: dict[str, Any]) -> None:
    done = llmspell("-p", "candle", "--connect", "background", "chat", "mock/a", "--message", "x")
    assert (done.status, done.out) == (0, "[mock/a] x\n")
    assert done.err == ("Warning: profile 'candle' is not applied to the connected kernel (it runs without one)\n")

"""`kernel start`: every option, the exact texts, and the real reason where no kernel comes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import running_kernels
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.daemons import daemon, end_all

KEYS = {
    *("status", "id", "pid", "host", "port", "ports", "transport"),
    *("connection_file", "pid_file", "log_file", "daemon", "url"),
}


@pytest.fixture
def default_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A user whose files are in `~/.llmspell`."""
    monkeypatch.delenv("LLMSPELL_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".llmspell"


@pytest.fixture
def before_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python file that a kernel's interpreter runs before anything of ours."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(directory))
    return directory / "sitecustomize.py"


def only_in_kernels(code: str) -> str:
    return f"import os, signal, sys, time\nif 'llmspell_kernel' in sys.orig_argv:\n    {code}\n"


def test_a_daemon_is_introduced_in_four_lines_with_the_home_as_a_tilde(default_home: Path) -> None:
    done = llmspell("-p", "candle", "kernel", "start", "--daemon", "--port", "0", "--id", "four")
    try:
        (info,) = running_kernels(default_home / "run")
        assert (done.status, done.err) == (0, "")
        assert done.out == (
            f"Kernel four started (PID: {info.pid})\n"
            f"  Address:         127.0.0.1:{info.shell_port}\n"
            "  Connection file: ~/.llmspell/run/kernel-four.json\n"
            "  Log file:        ~/.llmspell/logs/kernel-four.log\n"
        )
    finally:
        end_all(default_home / "run")


def test_the_port_names_a_kernel_that_has_no_other_name(home: Path) -> None:
    with daemon("free") as free:
        port = free["port"] - 5
        done = llmspell("kernel", "start", "--daemon", "--port", str(port), "--json")
        assert (done.document["id"], done.document["port"]) == (f"port-{port}", port)
        assert list(done.document["ports"].values()) == [port + offset for offset in range(5)]


def test_the_url_is_for_eyes_only(home: Path) -> None:
    terminal = AtTerminal(
        ["kernel", "start", "--daemon", "--port", "0", "--id", "eyes"],
        columns=200,
        env={"LLMSPELL_CLI__AUTOSTART": "never"},
    )
    assert terminal.end() == 0
    try:
        url = re.search(r"URL: +(llmspell://\S+)", terminal.said)
        assert url is not None
        assert llmspell("--connect", url[1], "kernel", "status", "--json").status == 0
        log = (home / "logs" / "kernel-eyes.log").read_text()
        assert "key=" not in log
    finally:
        end_all(home / "run")


def test_every_option_has_its_effect(home: Path, tmp_path: Path) -> None:
    words = [
        *(
            "--host",
            "127.0.0.1",
            "--connection-file",
            str(tmp_path / "conn.json"),
            "--pid-file",
            str(tmp_path / "k.pid"),
        ),
        *("--log-file", str(tmp_path / "logs"), "--idle-timeout", "3600", "--max-clients", "7", "--transport", "tcp"),
        *("--log-rotate-size", "1000000", "--log-rotate-count", "2", "--log-format", "json", "--trace", "info"),
        *("--port", "0"),
    ]
    with daemon("all", *words) as started:
        assert set(started) == KEYS
        assert started["log_file"] == str(tmp_path / "logs" / "kernel-all.log")
        assert started["pid_file"] == str(tmp_path / "k.pid")
        assert (tmp_path / "k.pid").read_text() == f"{started['pid']}\n"
        assert stat.S_IMODE((tmp_path / "conn.json").stat().st_mode) == 0o600
        assert ConnectionInfo.read(tmp_path / "conn.json").shell_port == started["port"]
        shown = llmspell("--connect", str(tmp_path / "conn.json"), "config", "show", "kernel", "--format", "json")
        assert shown.status == 0, shown.err
        settings = json.loads(shown.out)
        settings = settings.get("kernel", settings)
        assert (settings["max_clients"], settings["idle_timeout_seconds"]) == (7, 3600)
        assert (settings["log_rotate_size"], settings["log_rotate_count"]) == (1_000_000, 2)
        assert json.loads(Path(started["log_file"]).read_text().splitlines()[0])["level"] == "info"


def test_socket_files_have_neither_port_nor_url(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        with daemon("files", "--transport", "ipc") as started:
            assert (started["transport"], started["url"]) == ("ipc", None)
            assert llmspell("--connect", "files", "exec", "return 1").out == "1\n"
            assert llmspell("kernel", "stop", "files").status == 0


def test_socket_files_of_two_homes_do_not_meet(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        with daemon("same", "--transport", "ipc") as mine:
            with monkeypatch.context() as elsewhere:
                elsewhere.setenv("LLMSPELL_HOME", str(tmp_path / "other"))
                with daemon("same", "--transport", "ipc") as other:
                    assert other["host"] != mine["host"]
                    assert llmspell("--connect", "same", "exec", "return 'other'").out == "other\n"
                    assert llmspell("kernel", "stop", "same").status == 0
            assert llmspell("--connect", "same", "exec", "return 'mine'").out == "mine\n"
            assert llmspell("kernel", "stop", "same").status == 0
        assert list(Path(directory).iterdir()) == []


def test_socket_files_that_can_not_be_are_refused_and_leave_nothing(home: Path, tmp_path: Path) -> None:
    start = ["kernel", "start", "--daemon", "--transport", "ipc", "--id", "x"]
    nowhere = llmspell(*start, env={"XDG_RUNTIME_DIR": str(tmp_path / "nowhere")})
    assert nowhere.status == 2
    assert "cannot make a directory for socket files in" in nowhere.err
    assert "Hint: set XDG_RUNTIME_DIR to a directory" in nowhere.err
    far = tmp_path / ("deep" * 30)
    far.mkdir()
    long = llmspell(*start, env={"XDG_RUNTIME_DIR": str(far)})
    assert (long.status, "bytes, the system allows" in long.err) == (2, True)
    assert list(far.iterdir()) == []
    assert list((home / "run").iterdir()) == []


def test_an_existing_connection_file_decides_ports_and_key(home: Path, tmp_path: Path) -> None:
    with daemon("old") as old:
        given = ConnectionInfo.consecutive("127.0.0.1", old["port"] - 5, "k" * 40)
    path = tmp_path / "given.json"
    given.write(path)
    with daemon("given", "--connection-file", str(path)) as started:
        assert started["port"] == given.shell_port
        assert ConnectionInfo.read(Path(started["connection_file"])).key == "k" * 40


def test_other_machines_are_refused_with_what_is_missing(home: Path) -> None:
    for extra in (["--daemon"], []):
        done = llmspell("kernel", "start", "--port", "0", "--host", "0.0.0.0", *extra)
        assert done.status == 2
        assert "allow_remote" in done.err
        done = llmspell("kernel", "start", "--port", "0", "--host", "0.0.0.0", "--allow-remote", "--json", *extra)
        assert done.status == 2
        assert (done.error["code"], "CURVE keys" in done.error["message"]) == ("unsupported", True)
        assert "ssh -L" in done.error["hint"]
    assert running_kernels(home / "run") == []


def test_a_port_that_one_of_ours_has_names_its_kernel_and_what_to_do(home: Path) -> None:
    with daemon("owner") as started:
        done = llmspell("kernel", "start", "--daemon", "--port", str(started["port"]))
        assert (done.status, done.err) == (
            1,
            f"Error: port {started['port']} is taken by kernel 'owner' (PID: {started['pid']})\n"
            "Hint: llmspell kernel stop owner, or choose another port with --port\n",
        )


def test_a_port_of_another_program_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = llmspell("kernel", "start", "--daemon", "--port", str(port))
    assert done.status == 1
    assert done.err.splitlines()[0] == f"Error: port {port} is taken"


def test_a_kernel_that_was_killed_before_it_spoke_is_told_with_its_last_words(
    home: Path, before_the_kernel: Path
) -> None:
    before_the_kernel.write_text(
        only_in_kernels("print('no memory left', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    )
    done = llmspell("kernel", "start", "--daemon", "--port", "0")
    assert done.status == 4
    assert done.err.splitlines()[:2] == [
        "Error: the kernel was killed by SIGKILL before it answered",
        "  no memory left",
    ]
    as_json = llmspell("kernel", "start", "--daemon", "--port", "0", "--json")
    assert as_json.error["details"]["log"] == ["no memory left"]


def test_a_kernel_that_crashed_before_it_spoke_is_told_with_its_status_and_traceback(
    home: Path, before_the_kernel: Path
) -> None:
    before_the_kernel.write_text(only_in_kernels("sys.modules['zmq'] = None"))
    done = llmspell("kernel", "start", "--daemon", "--port", "0")
    assert done.err.splitlines()[0] == "Error: the kernel ended with status 1 before it answered"
    assert "zmq" in done.err


def test_the_lines_that_the_kernel_has_logged_belong_to_the_reason(home: Path, before_the_kernel: Path) -> None:
    log = home / "logs" / "kernel-late.log"
    log.parent.mkdir()
    log.write_text("an old line\n")
    before_the_kernel.write_text(only_in_kernels(f"open({str(log)!r}, 'a').write('a new line\\n'); os._exit(7)"))
    done = llmspell("kernel", "start", "--daemon", "--port", "0", "--id", "late")
    assert done.err.splitlines()[:2] == ["Error: the kernel ended with status 7 before it answered", "  a new line"]


@pytest.mark.slow
def test_a_kernel_that_says_nothing_is_given_up_after_ten_seconds(home: Path, before_the_kernel: Path) -> None:
    before_the_kernel.write_text(only_in_kernels("print('waiting', flush=True); signal.pause()"))
    done = llmspell("kernel", "start", "--daemon", "--port", "0", timeout_s=90)
    assert done.status == 4
    assert done.err.splitlines()[:2] == ["Error: the kernel did not answer within 10 s", "  waiting"]


@pytest.mark.parametrize(
    ("sent", "status", "said"), [(signal.SIGINT, 130, "Cancelled\n"), (signal.SIGTERM, 143, "")], ids=["INT", "TERM"]
)
def test_a_signal_while_a_daemon_starts_leaves_none_behind(
    sent: signal.Signals, status: int, said: str, home: Path, before_the_kernel: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    before_the_kernel.write_text(only_in_kernels(f"open({str(told)!r}, 'w').write(str(os.getpid())); signal.pause()"))
    running = Running("kernel", "start", "--daemon", "--port", "0")
    pid = int(told.read_text())
    running.process.send_signal(sent)
    done = running.done()
    assert (done.status, done.err) == (status, said)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_foreground_tells_a_service_manager_that_it_answers(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        address = str(Path(directory) / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(30)
            running = Running("kernel", "start", "--port", "0", "--id", "served", env={"NOTIFY_SOCKET": address})
            said = manager.recv(4096).decode()
            try:
                assert said.splitlines()[0] == "READY=1"
                assert llmspell("--connect", "served", "exec", "return 1").out == "1\n"
            finally:
                running.process.send_signal(signal.SIGTERM)
            assert running.done().status == 0


def test_ids_have_letters_digits_and_dashes(home: Path) -> None:
    for wrong in ("a.b", "a" * 65):
        done = llmspell("kernel", "start", "--id", wrong)
        assert (done.status, done.err.splitlines()[0]) == (
            2,
            f"Error: '{wrong}' is not a kernel id: letters, digits, '-' and '_' are possible, 64 at most",
        )


def test_in_json_mode_every_line_of_the_foregrounds_log_is_an_object(home: Path) -> None:
    front = Running("--json", "--trace", "info", "kernel", "start", "--port", "0", "--id", "front")
    front.wait_for("\n}")
    front.interrupt()
    said = front.done()
    logged = [json.loads(line) for line in said.err.splitlines()]
    assert [set(entry) for entry in logged] == [{"log"}] * len(logged)
    assert "kernel front has ended" in logged[-1]["log"]


def test_a_second_ctrl_c_ends_a_kernel_that_drains_at_once(home: Path) -> None:
    front = Running("kernel", "start", "--port", "0", "--id", "front", "--trace", "info")
    front.wait_for("Press Ctrl+C to stop")
    work = Running("--connect", "front", "exec", "print('on') while true do end")
    work.wait_for("on")
    front.interrupt()
    front.wait_for("shutting down", stream="err")
    assert front.process.poll() is None
    front.interrupt()
    # The drain alone would take thirty seconds.
    assert front.done(timeout_s=90).status == 0
    assert work.done().status == 130
    assert list((home / "run").iterdir()) == []

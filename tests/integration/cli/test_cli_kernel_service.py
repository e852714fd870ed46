"""`kernel install-service`: the file, the texts, the service manager's commands, and what is refused."""

from __future__ import annotations

import configparser
import os
import plistlib
import shlex
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import llmspell


@pytest.fixture
def units(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user's units stand; the user's home is empty."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user" / "config"))
    (tmp_path / "user").mkdir()
    return tmp_path / "user" / "config" / "systemd" / "user"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `systemctl` and a `launchctl` that write down how they were called; `fail` beside it makes them fail."""
    directory = tmp_path / "bin"
    directory.mkdir()
    calls = directory / "calls"
    for name in ("systemctl", "launchctl"):
        program = directory / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {calls}\n'
            f'if [ -e {directory}/fail ]; then echo "Failed to connect to bus" >&2; exit 1; fi\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return calls


def install(*words: str) -> tuple[str, ...]:
    return ("kernel", "install-service", "--service-type", "systemd", *words)


def command_of(unit: Path) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return shlex.split(parser["Service"]["ExecStart"])


def test_the_file_is_written_for_everyone_to_read_and_the_commands_are_shown(units: Path) -> None:
    done = llmspell(*install())
    path = units / "llmspell-kernel.service"
    assert (done.status, done.err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in units.iterdir()] == [path.name]
    assert done.out == (
        f"✓ Service file installed: {path}\n"
        "\nStart it at every login:\n  systemctl --user enable llmspell-kernel\n"
        "\nStart it now:\n  systemctl --user start llmspell-kernel\n"
        "\nWatch it:\n  systemctl --user status llmspell-kernel\n  llmspell kernel logs llmspell-kernel-9555 --follow\n"
        "\nLet it read its settings again:\n  systemctl --user reload llmspell-kernel\n"
        "\nStop it:\n  systemctl --user stop llmspell-kernel\n"
        "\nRemove it:\n  systemctl --user disable --now llmspell-kernel\n"
        f"  rm {path}\n  systemctl --user daemon-reload\n"
    )


def test_json_is_one_document(units: Path) -> None:
    done = llmspell(*install("--name", "spell", "--json"))
    assert done.document == {
        "status": "installed",
        "service_type": "systemd",
        "name": "spell",
        "path": str(units / "spell.service"),
        "enabled": False,
        "started": False,
    }


def test_an_existing_file_is_replaced_by_force_only(units: Path) -> None:
    path = units / "llmspell-kernel.service"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    done = llmspell(*install())
    assert (done.status, done.err) == (
        1,
        f"Error: Service file already exists at: {path}\nHint: Use --force to override\n",
    )
    assert path.read_text() == "mine"
    assert llmspell(*install("--force")).status == 0
    assert path.read_text().startswith("[Unit]")


def test_a_dry_run_prints_the_file_and_writes_nothing(units: Path) -> None:
    done = llmspell(*install("--dry-run"))
    assert (done.status, done.err) == (0, "")
    assert not units.exists()
    assert llmspell(*install()).status == 0
    assert (units / "llmspell-kernel.service").read_text() == done.out
    as_json = llmspell(*install("--dry-run", "--json")).document
    assert (as_json["status"], as_json["content"]) == ("dry-run", done.out)


def test_the_kernel_is_started_as_it_was_chosen(units: Path, tmp_path: Path) -> None:
    words = ["--port", "9600", "--name", "spell", "--log-file", "my logs/k.log", "--pid-file", "k.pid"]
    assert llmspell("-p", "candle", *install(*words)).status == 0
    program, *rest = command_of(units / "spell.service")
    assert os.access(program, os.X_OK)
    assert (
        rest[-14:]
        == [
            *("--profile", "candle", "kernel", "start", "--port", "9600", "--id", "spell-9600"),
            *("--log-file", str(tmp_path / "my logs/k.log"), "--pid-file", str(tmp_path / "k.pid")),
        ][-14:]
    )
    assert "--daemon" not in rest
    (tmp_path / "own.toml").write_text('runtime.log_level = "info"\n')
    assert llmspell("-c", "own.toml", *install("--force", "--name", "spell", "--id", "mine")).status == 0
    rest = command_of(units / "spell.service")
    assert rest[rest.index("--config") + 1] == str(tmp_path / "own.toml")
    assert rest[rest.index("--id") + 1] == "mine"


def test_the_command_in_the_unit_runs_a_kernel_that_a_signal_ends(units: Path) -> None:
    assert llmspell(*install("--name", "real", "--port", "0")).status == 0
    program, *rest = command_of(units / "real.service")
    with subprocess.Popen([program, *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Kernel real-0 started")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_enabling_and_starting_call_the_service_manager(units: Path, manager: Path) -> None:
    done = llmspell(*install("--enable", "--start"))
    assert (done.status, done.err) == (0, "")
    assert manager.read_text().splitlines() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable llmspell-kernel",
        "systemctl --user start llmspell-kernel",
    ]
    assert done.out.splitlines()[1:3] == ["✓ Service enabled: llmspell-kernel", "✓ Service started: llmspell-kernel"]
    assert "Start it now" not in done.out
    assert llmspell(*install("--enable", "--force", "--json")).document["enabled"] is True


def test_a_service_manager_that_refuses_is_quoted(units: Path, manager: Path) -> None:
    (manager.parent / "fail").touch()
    done = llmspell(*install("--start"))
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "Error: systemctl --user daemon-reload: Failed to connect to bus\n"
        "Hint: the file is there, so this can be tried again: systemctl --user daemon-reload\n"
    )
    assert (units / "llmspell-kernel.service").exists()


def test_a_machine_without_the_service_manager_says_so(
    units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    done = llmspell(*install("--start"))
    assert (done.status, done.err.splitlines()[0]) == (2, "Error: there is no systemctl on this machine")


def test_launchd_gets_a_property_list(units: Path, tmp_path: Path, manager: Path) -> None:
    done = llmspell("kernel", "install-service", "--service-type", "launchd", "--enable", "--start", "--json")
    path = tmp_path / "user/Library/LaunchAgents/com.llmspell.llmspell-kernel.plist"
    assert (done.status, done.document["path"]) == (0, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    plist = plistlib.loads(path.read_bytes())
    assert plist["ProgramArguments"][-6:] == ["kernel", "start", "--port", "9555", "--id", "llmspell-kernel-9555"]
    domain = f"gui/{os.getuid()}"
    assert manager.read_text().splitlines() == [
        f"launchctl enable {domain}/com.llmspell.llmspell-kernel",
        f"launchctl bootstrap {domain} {path}",
    ]


def test_a_service_of_the_machine_runs_as_the_user_who_called_sudo(units: Path) -> None:
    shown = llmspell(*install("--system", "--dry-run"), env={"SUDO_USER": "alice"})
    assert "\nUser=alice\n" in shown.out
    assert "WantedBy=multi-user.target" in shown.out
    document = llmspell(*install("--system", "--dry-run", "--json")).document
    assert document["path"] == "/etc/systemd/system/llmspell-kernel.service"


def test_a_place_that_can_not_be_written_is_named(units: Path, tmp_path: Path) -> None:
    (tmp_path / "user" / "config").write_text("in the way")
    done = llmspell(*install())
    assert done.status == 1
    assert done.err.startswith(f"Error: can't write {units}/llmspell-kernel.service: ")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["-p", "nosuch"], 3, "Builtin profile 'nosuch' not found."),
        (["-c", "nosuch.toml"], 2, "configuration file not found: nosuch.toml"),
        (["--name", "a.b"], 2, "--name: 'a.b' has other characters than letters, digits, '-' and '_'"),
        (["--id", "a b"], 2, "--id: 'a b' has other characters than letters, digits, '-' and '_'"),
        (["--connect", "x"], 2, "'kernel install-service' works on this machine only"),
        (["--service-type", "openrc"], 2, ""),
    ],
)
def test_what_could_never_run_is_refused(units: Path, words: list[str], status: int, message: str) -> None:
    done = llmspell("kernel", "install-service", *words)
    assert done.status == status
    assert done.err.startswith(f"Error: {message}")
    assert not units.exists()


def test_a_service_that_is_there_is_enabled_and_started_as_it_is(units: Path, manager: Path) -> None:
    assert llmspell("-p", "candle", *install()).status == 0
    before = (units / "llmspell-kernel.service").read_text()
    assert llmspell("-p", "candle", *install()).status == 0  # the same again changes nothing
    done = llmspell(*install("--enable", "--start"))
    assert done.status == 0
    assert "stays as it is; --force replaces it" in done.err
    assert (units / "llmspell-kernel.service").read_text() == before
    assert manager.read_text().splitlines()[-2:] == [
        "systemctl --user enable llmspell-kernel",
        "systemctl --user start llmspell-kernel",
    ]


def test_a_service_is_stopped_and_its_file_removed(units: Path, manager: Path) -> None:
    uninstall = ("kernel", "uninstall-service", "--service-type", "systemd")
    missing = llmspell(*uninstall)
    assert (missing.status, "there is no service 'llmspell-kernel'" in missing.err) == (3, True)
    assert llmspell(*install()).status == 0
    done = llmspell(*uninstall)
    assert (done.status, done.out) == (0, f"✓ Service file removed: {units / 'llmspell-kernel.service'}\n")
    assert list(units.iterdir()) == []
    assert manager.read_text().splitlines() == [
        "systemctl --user disable --now llmspell-kernel",
        "systemctl --user daemon-reload",
    ]

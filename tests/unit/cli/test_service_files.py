"""The files for systemd and launchd, read back as these read them."""

from __future__ import annotations

import configparser
import plistlib
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from llmspell_cli.autostart import launchd_agent, systemd_unit
from llmspell_cli.autostart.sd_notify import tell_service_manager
from llmspell_cli.autostart.service import Service

USERS = Service(
    name="llmspell-kernel",
    kernel_id="llmspell-kernel-9555",
    command=(sys.executable, "-m", "llmspell_cli.main", "kernel", "start", "--port", "9555"),
    environment={"LLMSPELL_HOME": "/srv/my models"},
)
SYSTEMS = USERS._replace(user="root")

KNOWN = {
    # systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5)
    "Unit": {"Description", "Wants", "After", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        *("Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStopSec"),
        *("KillMode", "Environment", "User", "UMask", "NoNewPrivileges", "LockPersonality", "RestrictRealtime"),
        *("RestrictSUIDSGID", "RestrictAddressFamilies", "SystemCallArchitectures", "ProtectSystem"),
        *("ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules"),
        "ProtectKernelTunables",
    },
    "Install": {"WantedBy"},
}


def read(text: str) -> configparser.RawConfigParser:
    # A key may stand several times: systemd adds such lines up.
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("service", [USERS, SYSTEMS], ids=["user", "system"])
def test_a_unit_has_only_keys_that_systemd_documents(service: Service) -> None:
    unit = read(systemd_unit.unit_text(service))
    assert {section: set(unit[section]) - KNOWN[section] for section in unit.sections()} == {
        "Unit": set(),
        "Service": set(),
        "Install": set(),
    }


def test_a_unit_runs_the_kernel_in_the_foreground_and_lets_it_drain() -> None:
    service = read(systemd_unit.unit_text(USERS))["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"] == f"{sys.executable} -m llmspell_cli.main kernel start --port 9555"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["Restart"] == "on-failure"
    # A drain takes up to 30 s, and a TERM to its workers would cut it short.
    assert int(service["TimeoutStopSec"]) > 30
    assert service["KillMode"] == "mixed"
    assert service["Environment"] == '"LLMSPELL_HOME=/srv/my models"'
    assert service["NoNewPrivileges"] == "yes"


def test_a_users_service_and_one_of_the_machine_start_where_they_can() -> None:
    users, systems = (read(systemd_unit.unit_text(service)) for service in (USERS, SYSTEMS))
    assert users["Install"]["WantedBy"] == "default.target"
    assert "User" not in users["Service"]
    assert systems["Install"]["WantedBy"] == "multi-user.target"
    assert systems["Service"]["User"] == "root"
    assert not any(key.startswith("Protect") for key in users["Service"])


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("a b", '"a b"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("ü", '"ü"'),
        ("", '""'),
    ],
)
def test_words_of_a_command_line_mean_themselves(word: str, written: str) -> None:
    text = systemd_unit.unit_text(USERS._replace(command=("/bin/true", word)))
    assert read(text)["Service"]["ExecStart"] == f"/bin/true {written}"


def test_units_stand_where_systemd_looks(tmp_path: Path) -> None:
    home = Path("/home/a")
    assert systemd_unit.unit_path("k", system=False, env={}, home=home) == home / ".config/systemd/user/k.service"
    assert systemd_unit.unit_path("k", system=False, env={"XDG_CONFIG_HOME": "/c"}, home=home) == Path(
        "/c/systemd/user/k.service"
    )
    assert systemd_unit.unit_path("k", system=True, env={}, home=home) == Path("/etc/systemd/system/k.service")


def test_a_property_list_is_what_launchd_takes() -> None:
    plist = plistlib.loads(launchd_agent.plist_text(USERS, home=Path("/Users/a")).encode())
    assert plist["Label"] == "com.llmspell.llmspell-kernel"
    assert plist["ProgramArguments"] == list(USERS.command)
    assert plist["KeepAlive"] == {"SuccessfulExit": False}
    assert plist["EnvironmentVariables"] == {"LLMSPELL_HOME": "/srv/my models"}
    assert plist["ExitTimeOut"] > 30
    assert plist["Umask"] == 0o077
    assert "UserName" not in plist
    # What a kernel says that can't start must be found somewhere.
    assert plist["StandardErrorPath"] == "/Users/a/Library/Logs/com.llmspell.llmspell-kernel.log"


def test_a_property_list_for_the_machine_names_its_user() -> None:
    plist = plistlib.loads(launchd_agent.plist_text(SYSTEMS, home=Path("/Users/a")).encode())
    assert plist["UserName"] == "root"
    assert plist["StandardErrorPath"] == "/Library/Logs/com.llmspell.llmspell-kernel.log"


def test_property_lists_stand_where_launchd_looks() -> None:
    home = Path("/Users/a")
    assert launchd_agent.plist_path("k", system=False, home=home) == home / "Library/LaunchAgents/com.llmspell.k.plist"
    assert launchd_agent.plist_path("k", system=True, home=home) == Path("/Library/LaunchDaemons/com.llmspell.k.plist")


@pytest.mark.parametrize(
    "abstract",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="only Linux has socket names outside the file system"
            ),
        ),
    ],
)
def test_a_service_manager_hears_a_state_on_its_socket(abstract: bool) -> None:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        name = f"{directory}/notify"
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(60)
        tell_service_manager("READY=1", {"NOTIFY_SOCKET": f"@{name}" if abstract else name})
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "/nonexistent/notify"])
def test_a_service_manager_that_can_not_be_told_is_not_an_error(address: str | None) -> None:
    tell_service_manager("READY=1", {} if address is None else {"NOTIFY_SOCKET": address})

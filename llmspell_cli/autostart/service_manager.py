"""The service manager of this platform: where it looks for a service, and the commands that steer it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llmspell_cli.autostart.service import Service
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, Unsupported

SERVICE_TYPES = ("systemd", "launchd", "auto")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class Manager(NamedTuple):
    """One service manager, for the user or the whole system."""

    service_type: str
    path: Path
    text: Callable[[Service], str]
    commands: Callable[[Service, Path], Mapping[str, Sequence[Sequence[str]]]]
    reread: Sequence[str]
    """The command that makes the manager read its files again."""


def manager_of(service_type: str, name: str, *, system: bool) -> Manager:
    """The service manager that is meant.

    Raises:
        Unsupported: `auto` on a platform without a known service manager.
    """
    if service_type == "auto":
        service_type = {"linux": "systemd", "darwin": "launchd"}.get(sys.platform, "")
    # Needed here only.
    from llmspell_profiles.loading.home import known_user_home, user_home

    home = user_home(os.environ) if not system else known_user_home(os.environ) or Path("/")
    if service_type == "systemd":
        from llmspell_cli.autostart import systemd_unit

        path = systemd_unit.unit_path(name, system=system, env=os.environ, home=home)
        reread = [*systemd_unit.systemctl(system=system), "daemon-reload"]
        return Manager(service_type, path, systemd_unit.unit_text, systemd_unit.commands, reread)
    if service_type == "launchd":
        from llmspell_cli.autostart import launchd_agent

        path = launchd_agent.plist_path(name, system=system, home=home)
        text = partial(launchd_agent.plist_text, home=home)
        return Manager(service_type, path, text, launchd_agent.commands, ())
    raise Unsupported(
        f"services are installed for systemd (Linux) and launchd (macOS), not on {sys.platform}",
        hint="llmspell kernel start --daemon",
    )


def check_name(option: str, name: str) -> None:
    """Raises `InvalidRequest` for what can't name a service or a kernel."""
    if not _NAME.match(name):
        raise InvalidRequest(f"{option}: '{name}' has other characters than letters, digits, '-' and '_'")


def unwritable(path: Path, error: OSError) -> Forbidden:
    """The error for a service file that this user may not change."""
    denied = isinstance(error, PermissionError)
    return Forbidden(
        f"can't write {path}: {error.strerror}",
        hint="call it through sudo" if denied and os.geteuid() else None,
        details={"path": str(path)},
    )


def run_command(kind: Manager, command: Sequence[str]) -> None:
    """Runs one of the manager's commands.

    Raises:
        LlmspellError: it failed, or there is no such program.
    """
    hint = f"the file is there, so this can be tried again: {shlex.join(command)}"
    details = {"path": str(kind.path), "command": list(command)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unsupported(f"there is no {command[0]} on this machine", hint=hint, details=details) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise LlmspellError(f"{shlex.join(command)}: {said}", hint=hint, details=details)

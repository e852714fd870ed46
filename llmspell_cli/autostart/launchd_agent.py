"""A kernel as a launchd agent (macOS): where its property list stands, what is in it, and the commands around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmspell_cli.autostart.service import Service

_STOP_TIMEOUT_S = 45
"""Longer than `kernel.drain_timeout_seconds` (30), after which the kernel ends by itself."""


def label(name: str) -> str:
    """What launchd calls the service."""
    return f"com.llmspell.{name}"


def plist_path(name: str, *, system: bool, home: Path) -> Path:
    """Where the property list of this service stands."""
    return (Path("/Library/LaunchDaemons") if system else home / "Library/LaunchAgents") / f"{label(name)}.plist"


def plist_text(service: Service, *, home: Path) -> str:
    """The property list; started when it is loaded, and again when it has failed."""
    # Only this command writes property lists.
    import plistlib

    content: dict[str, Any] = {
        "Label": label(service.name),
        "ProgramArguments": list(service.command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": _STOP_TIMEOUT_S,
        "Umask": 0o077,
        # As a background process it would get the slow cores and little of them.
        "ProcessType": "Interactive",
        # The kernel keeps a log of its own; why it could not start stands here, as launchd shows no output.
        "StandardOutPath": os.devnull,
        "StandardErrorPath": str(errors_path(service, home=home)),
    }
    if service.environment:
        content["EnvironmentVariables"] = dict(service.environment)
    if service.user is not None:
        content["UserName"] = service.user
    return plistlib.dumps(content, sort_keys=False).decode()


def errors_path(service: Service, *, home: Path) -> Path:
    """Where the service's standard error goes: into a directory that every Mac has."""
    return (Path("/Library/Logs") if service.user is not None else home / "Library/Logs") / f"{label(service.name)}.log"


def commands(service: Service, path: Path) -> dict[str, Sequence[Sequence[str]]]:
    """The command lines that enable, start, watch, reload, stop and remove the service."""
    domain = "system" if service.user is not None else f"gui/{os.getuid()}"
    target = f"{domain}/{label(service.name)}"
    return {
        "enable": [["launchctl", "enable", target]],
        "start": [["launchctl", "bootstrap", domain, str(path)]],
        "watch": [["launchctl", "print", target], ["llmspell", "kernel", "logs", service.kernel_id, "--follow"]],
        "reload": [["launchctl", "kill", "HUP", target]],
        "stop": [["launchctl", "bootout", target]],
        "remove": [["launchctl", "bootout", target], ["rm", str(path)]],
    }

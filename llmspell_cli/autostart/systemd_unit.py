"""A kernel as a systemd service: where its unit stands, what is in it, and the commands around it. Writes nothing.

The unit runs the kernel in the foreground and hears from it when it answers (`Type=notify`), so `systemctl start`
returns with a kernel that can be used, or with the reason why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmspell_cli.autostart.service import Service

_PLAIN = re.compile(r"[A-Za-z0-9_@=:,./+%$-]+\Z")
_STOP_TIMEOUT_S = 45
"""Longer than `kernel.drain_timeout_seconds` (30), after which the kernel ends by itself."""

_UNPRIVILEGED = (
    "NoNewPrivileges=yes",
    "UMask=0077",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_NETLINK",
    "RestrictAddressFamilies=AF_INET AF_INET6",
    "SystemCallArchitectures=native",
)
"""What a user's own service manager can enforce, and neither engines nor GPUs need."""
_PRIVILEGED = (
    "ProtectSystem=full",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
)


def unit_path(name: str, *, system: bool, env: Mapping[str, str], home: Path) -> Path:
    """Where the unit of this name stands."""
    if system:
        return Path("/etc/systemd/system") / f"{name}.service"
    return Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user" / f"{name}.service"


def unit_text(service: Service) -> str:
    """The unit file."""
    lines = [
        "[Unit]",
        f"Description=llmspell kernel {service.kernel_id}",
        "StartLimitIntervalSec=120",
        "StartLimitBurst=5",
    ]
    if service.user is not None:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += [
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={_command_line(service.command)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        *(f"Environment={_word(f'{name}={value}')}" for name, value in service.environment.items()),
    ]
    if service.user is not None:
        lines += [f"User={service.user}"]
    lines += [
        "Restart=on-failure",
        "RestartSec=5",
        "# A wrong setting is still wrong at the next try.",
        "RestartPreventExitStatus=2 3",
        "# The kernel ends its workers itself, when they are done.",
        "KillMode=mixed",
        f"TimeoutStopSec={_STOP_TIMEOUT_S}",
        *_UNPRIVILEGED,
        *(_PRIVILEGED if service.user is not None else ()),
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if service.user is not None else 'default.target'}",
        "",
    ]
    return "\n".join(lines)


def commands(service: Service, path: Path) -> dict[str, Sequence[Sequence[str]]]:
    """The command lines that enable, start, watch, reload, stop and remove the service."""
    control = systemctl(system=service.user is not None)
    return {
        "enable": [[*control, "enable", service.name]],
        "start": [[*control, "start", service.name]],
        "watch": [[*control, "status", service.name], ["llmspell", "kernel", "logs", service.kernel_id, "--follow"]],
        "reload": [[*control, "reload", service.name]],
        "stop": [[*control, "stop", service.name]],
        "remove": [[*control, "disable", "--now", service.name], ["rm", str(path)], [*control, "daemon-reload"]],
    }


def systemctl(*, system: bool) -> list[str]:
    """`systemctl` of the system's or the user's service manager."""
    return ["systemctl"] if system else ["systemctl", "--user"]


def _command_line(words: Sequence[str]) -> str:
    """Words as ExecStart takes them: variables are filled in everywhere but in the name of the program."""
    program, *arguments = words
    return " ".join([_word(program), *(_word(word.replace("$", "$$")) for word in arguments)])


def _word(text: str) -> str:
    """One word, quoted as systemd.syntax(7) says; `%` stands for itself."""
    text = text.replace("%", "%%")
    if _PLAIN.match(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

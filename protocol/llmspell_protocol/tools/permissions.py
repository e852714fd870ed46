"""What one call of a tool may touch, and the refusal that names the option and the setting that would allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmspell_protocol.errors import Forbidden
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.description import Need


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Absolute paths, hosts, programs and variables; `*` is everything of a kind, of hosts every public one.

    `working_directory` is what relative paths start from; None: relative paths mean nothing.
    """

    read: Sequence[str] = ()
    write: Sequence[str] = ()
    net: Sequence[str] = ()
    """Hosts, and domains with all below; addresses of this machine's network have to be named."""
    blocked: Sequence[str] = ()
    """Hosts that are refused although `net` has them."""
    run: Sequence[str] = ()
    env: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    """The variables of the client that may be read."""
    working_directory: str | None = None

    @property
    def programs_everything(self) -> bool:
        """Whether every program may run."""
        return EVERYTHING in self.run


SETTINGS: Mapping[Need, str] = {
    "read": "tools.permissions.read",
    "write": "tools.permissions.write",
    "net": "tools.permissions.net",
    "run": "tools.permissions.run",
    "env": "tools.permissions.env",
}
"""The setting that allows a kind for every call."""

_SAID: Mapping[Need, str] = {
    "read": "Path not allowed: {}",
    "write": "Path not allowed: {}",
    "net": "Host blocked: {}",
    "run": "Command blocked: {}",
    "env": "Variable not allowed: {}",
}


def denied(kind: Need, name: str, *, why: str = "", setting: str | None = None) -> Forbidden:
    """The refusal of `name`: a path, a host, a program or a variable. `details{permission, name, setting}`."""
    error = refused(kind, name, why=why, setting=setting or SETTINGS[kind])
    error.details["permission"] = kind
    error.hint = f"allow it with --allow-{kind}={name}, or for every call in the setting {error.details['setting']}"
    return error


def refused(kind: Need, name: str, *, why: str, setting: str) -> Forbidden:
    """The refusal of what no permission allows: the setting alone says it. `details{name, setting}`."""
    doing = {"read": "read ", "write": "write "}.get(kind, "")
    said = (
        _SAID[kind].format(name) if kind not in ("read", "write") else f"Path not allowed: {name} (to {doing.strip()})"
    )
    details: dict[str, Any] = {"name": name, "setting": setting}
    return Forbidden(f"{said}{f': {why}' if why else ''}", hint=f"change the setting {setting}", details=details)

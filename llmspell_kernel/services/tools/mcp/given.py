"""What a server is started with, in plain values: references to secrets and variables are followed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import ConfigError
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from llmspell_profiles.schema.mcp import McpServer

_OF_ALL = ("PATH", "HOME")
"""The variables that each program gets beside its own."""
STARTED_WITH = ("command", "args", "env", "cwd", "url", "headers")
"""The keys of a server's table that need another start when they change."""


def start_values(name: str, table: McpServer, environment: Mapping[str, str], home: Path) -> dict[str, Any]:
    """The fields of the worker's `start`; the store of keys is a file or a system keyring, so this may block.

    Raises:
        ConfigError: a secret or a variable is not there, or the store can't be read.
    """
    given = {key: _plain(name, key, getattr(table, key), environment, home) for key in ("env", "headers")}
    basic = {variable: environment[variable] for variable in _OF_ALL if environment.get(variable)}
    return {
        "name": name,
        "command": None if table.command is None else expanded_user(table.command, environment),
        "args": list(table.args),
        "env": basic | given["env"],
        "cwd": None if table.cwd is None else expanded_user(table.cwd, environment),
        "url": table.url,
        "headers": given["headers"],
        "timeout_s": float(max(table.timeout_seconds, table.start_timeout_seconds)),
    }


def _plain(
    server: str, key: str, values: Mapping[str, Any], environment: Mapping[str, str], home: Path
) -> dict[str, str]:
    return {
        name: value
        if isinstance(value, str)
        else _followed(f"mcp.servers.{server}.{key}.{name}", value, environment, home)
        for name, value in values.items()
    }


def _followed(setting: str, reference: Mapping[str, str], environment: Mapping[str, str], home: Path) -> str:
    prefix = reference.get("prefix", "")
    if variable := reference.get("variable"):
        if variable not in environment:
            raise ConfigError(
                f"the variable {variable} is not set", hint="set it where the kernel starts", details={"key": setting}
            )
        return prefix + environment[variable]
    # Only a server with secrets needs the store.
    from llmspell_profiles.credentials.key_store import KeyStore

    secret = reference["secret"]
    stored = KeyStore(home).get(secret)
    if stored is None:
        raise ConfigError(f"no key '{secret}' is stored", hint=f"llmspell keys add {secret}", details={"key": setting})
    return prefix + stored.value

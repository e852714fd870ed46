"""What the servers of `[mcp]` lack on this machine: the package, a program, a secret, a variable. Starts nothing."""

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.problems import KeyPath
from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.extras import install_command

if TYPE_CHECKING:
    from llmspell_profiles.schema.mcp import McpServer, McpSettings


class ServerProblem(NamedTuple):
    """What a server lacks: the key that it is about, a sentence, and what to do."""

    path: KeyPath
    text: str
    hint: str | None


def problems_of_servers(settings: "McpSettings", env: Mapping[str, str], home: Path) -> Iterator[ServerProblem]:
    """Everything that would keep enabled servers from starting, as far as that can be seen without starting them."""
    enabled = settings.servers.enabled
    if enabled and find_spec("mcp") is None:
        text = "needs the package 'mcp', which is not installed"
        yield ServerProblem(("mcp", "servers", next(iter(enabled))), text, install_command("mcp"))
    for name, table in enabled.items():
        yield from _lacking(("mcp", "servers", name), table, env, home)


def _lacking(path: KeyPath, table: "McpServer", env: Mapping[str, str], home: Path) -> Iterator[ServerProblem]:
    if table.command is not None and shutil.which(os.path.expanduser(table.command), path=env.get("PATH")) is None:
        yield ServerProblem(
            (*path, "command"), f"there is no program '{table.command}'", "install it, or name its path"
        )
    if table.cwd is not None and not Path(os.path.expanduser(table.cwd)).is_dir():
        yield ServerProblem((*path, "cwd"), f"{table.cwd} is no directory", None)
    if table.url is not None:
        address = parse_address(table.url)
        if address.scheme == "http" and not address.is_near:
            yield ServerProblem((*path, "url"), "what is sent there is not encrypted (http)", None)
    store = KeyStore(home)
    for key in ("env", "headers"):
        for name, value in getattr(table, key).items():
            if isinstance(value, str):
                continue
            here = (*path, key, name)
            if "variable" in value and value["variable"] not in env:
                yield ServerProblem(here, f"the variable {value['variable']} is not set", None)
            if "secret" in value:
                yield from _unstored(here, value["secret"], store)


def _unstored(path: KeyPath, secret: str, store: KeyStore) -> Iterator[ServerProblem]:
    try:
        if store.get(secret) is None:
            yield ServerProblem(path, f"no key '{secret}' is stored", f"llmspell keys add {secret}")
    except ConfigError as error:
        yield ServerProblem(path, error.message, error.hint)

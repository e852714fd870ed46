"""`llmspell config import-mcp FILE`: the MCP servers of another client's file, as tables of the configuration."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.config_change import change, running_ids, tell_who_does_not_know
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import read_json
from llmspell_cli.key_sources import key_store
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_profiles.other_clients import Imported


@click.command(
    "import-mcp",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config import-mcp mcp.json", "all of its servers"),
        ("llmspell config import-mcp mcp.json --dry-run", "what would be written"),
        ("llmspell config import-mcp mcp.json --only github", "one of them"),
    ),
)
@click.option("--only", "only", multiple=True, metavar="NAME", help="This server; may be repeated.")
@click.option("--store-secrets", is_flag=True, help="Keep its secrets in the key store without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.argument("file", metavar="FILE")
def import_mcp(options: Options, file: str, only: tuple[str, ...], store_secrets: bool, dry_run: bool) -> None:
    """Take over the MCP servers of another client: mcpServers or servers in its JSON file.

    Comments in the configuration stay. A value that looks like a secret is kept in the key store, and never written
    into the file. What a table can't say is refused, and then nothing is written.
    """
    output = Output(options)
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.other_clients import imported, servers_in

    servers = servers_in(read_json(file))
    if servers is None:
        raise InvalidRequest(f"{file} has neither mcpServers nor servers", details={"file": file})
    missing = [name for name in only if name not in servers]
    if missing:
        listed = ", ".join(servers) or "none"
        raise NotFound(f"{file} has no server '{missing[0]}'; it has: {listed}", details={"file": file})
    found = imported(servers, only)
    if found.refused:
        raise _refused(file, found)
    if not found.tables:
        raise InvalidRequest(f"{file} has no servers", details={"file": file})
    if dry_run:
        _show(output, found)
        return
    if found.secrets and not store_secrets and not _may_store(output, file, found):
        return
    _write(options, output, found)


def _refused(file: str, found: Imported) -> InvalidRequest:
    reasons = "; ".join(f"{name}: {why}" for name, why in found.refused.items())
    good = " ".join(f"--only {name}" for name in found.tables)
    hint = f"llmspell config import-mcp {file} {good}" if good else None
    return InvalidRequest(
        f"{file}: {reasons}; nothing was written", hint=hint, details={"file": file, "refused": dict(found.refused)}
    )


def _may_store(output: Output, file: str, found: Imported) -> bool:
    names = ", ".join(found.secrets)
    command = f"llmspell config import-mcp {file} --store-secrets"
    if output.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidRequest(
            f"{file} has secrets, which belong into the key store ({names}); nothing was written",
            hint=command,
            details={"file": file, "secrets": list(found.secrets)},
        )
    return confirmed(output, f"Keep its secrets in the key store ({names})?", yes=False, hint=command)


def _write(options: Options, output: Output, found: Imported) -> None:
    from llmspell_profiles.writing import add_servers

    store = key_store(os.environ)
    chosen = store.choose(None)
    changes = change(options, add_servers, found.tables)
    for name, value in found.secrets.items():
        store.add(name, value, chosen)
    file = changes[0].file
    running = running_ids(file)
    if output.json:
        output.document(
            {
                **_document("imported", found),
                "file": str(file),
                "kernels": running,
            }
        )
        return
    for name, table in found.tables.items():
        output.line(f"✓ mcp.servers.{name} ({table.get('command') or table.get('url')}) in {home_path(str(file))}")
    place = "the system keyring" if chosen == "keyring" else home_path(str(store.file.path))
    for name in found.secrets:
        output.line(f"✓ {name} in {place}")
    _tell(output, found)
    tell_who_does_not_know(output, running)


def _document(status: str, found: Imported) -> dict[str, Any]:
    return {
        "status": status,
        "servers": dict(found.tables),
        "stored": list(found.secrets),
        "wanting": list(found.wanting),
        "notes": list(found.notes),
    }


def _show(output: Output, found: Imported) -> None:
    from llmspell_profiles.showing.toml_text import toml_text

    if output.json:
        output.document(_document("would import", found))
        return
    output.lines(toml_text(dict(found.tables), ("mcp", "servers"), "What would be written.", {}).rstrip())
    for name in found.secrets:
        output.line(f"# {name} would be kept in the key store")
    _tell(output, found)


def _tell(output: Output, found: Imported) -> None:
    for note in found.notes:
        output.warning(note)
    for name in found.wanting:
        output.warning(f"the file has no value for {name}")
        output.hint(f"llmspell keys add {name}")

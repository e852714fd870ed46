"""`llmspell state export`: entries as JSON or TOML that `state import` reads, every value exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from llmspell_cli.commands.state.requests import Kept, scope_option, selected, tell_of_memory
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import write_private
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.kept_values import NULL


@click.command(
    "export",
    cls=Command,
    examples=(
        ("llmspell state export state.json", "global, into a file"),
        ("llmspell state export --scope all > state.json", "everything, on standard output"),
        ("llmspell state export --format toml state.toml", "as TOML"),
    ),
)
@scope_option
@click.option("--format", "written", type=click.Choice(["json", "toml"]), default="json", help="json or toml.")
@click.argument("path", metavar="[FILE]", required=False)
def export(options: Options, scope: str, written: str, path: str | None) -> None:
    """Write keys and values into a file, or to standard output.

    Each entry is as it is when it is read; of one moment is a backup, which scripts make.
    """
    output = Output(options)
    wanted = selected(scope)
    with session(options, output) as opened:
        kept = Kept(opened, wanted)
        state: dict[str, Any] = {}
        count = 0
        for one in kept:
            (state.setdefault(one["scope"], {}) if wanted.kinds else state)[one["key"]] = _plain(one["value"])
            count += 1
    text = (
        _as_toml(state) if written == "toml" else json.dumps(state, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    )
    if path is None or path == "-":
        output.as_it_is(text)
        output.note("✓ Exported state", keys=count)
    else:
        write_private(path, text)
        if output.json:
            output.document({"status": "exported", "path": path, "keys": count})
        else:
            output.line(f"✓ Exported state to {path}")
    if not count:
        tell_of_memory(output, kept.place)


def _plain(value: Any) -> Any:
    """Null as JSON has it, where a request would take that for absence."""
    return None if value == NULL else value


def _as_toml(state: Mapping[str, Any]) -> str:
    # Few exports are TOML.
    import tomlkit

    return tomlkit.dumps(_without_null(state))


def _without_null(value: Any) -> Any:
    """TOML has no null; the form that stands for it is read as well."""
    if isinstance(value, Mapping):
        return {name: _without_null(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return dict(NULL) if value is None else value

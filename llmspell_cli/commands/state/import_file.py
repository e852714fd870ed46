"""`llmspell state import`: entries from what `state export` has written, or from any JSON or TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from llmspell_cli.commands.state.requests import ask_state, scope_option, selected, tell_of_memory
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import json_object
from llmspell_cli.options import Command
from llmspell_cli.terminal.input_text import file_text, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest

_SCOPE = re.compile(r"global|custom|(?:user|session|agent|tool|workflow|hook|custom):.+")


@click.command(
    "import",
    cls=Command,
    examples=(
        ("llmspell state import state.json", "in the place of what is in global"),
        ("llmspell state import state.json --merge", "what else is there stays"),
        ("llmspell state import --scope all - < state.json", "as --scope all has exported it"),
    ),
)
@scope_option
@click.option("--merge", is_flag=True, help="Keep keys that the file lacks.")
@click.argument("path", metavar="[FILE]", required=False)
def import_file(options: Options, scope: str, merge: bool, path: str | None) -> None:
    """Keep what a JSON or TOML file holds: all of it, or nothing.

    With several scopes (--scope all) the file has them by name, and their entries inside.
    """
    output = Output(options)
    wanted = selected(scope)
    named = path if path not in (None, "-") else None
    text = stdin_text() if named is None else file_text(named, missing="Import file does not exist")
    where = named or "standard input"
    found = _read(text, where)
    if not wanted.kinds:
        _demand_one_scope(found, where)
    entries = list(_entries(found, bool(wanted.kinds), where))
    # What is to be replaced are all of these scopes, not only those that the file names.
    kinds = wanted.kinds if wanted.kinds and not merge else None
    with session(options, output) as opened:
        try:
            reply = ask_state(opened, "import", scope=wanted.scope, kinds=kinds, entries=entries, merge=merge)
        except InvalidRequest as error:
            if "limit_bytes" in error.details and error.hint is None:
                error.hint = "an import is one request; take the file apart, and import the parts with --merge"
            raise
    if output.json:
        output.document({"status": "imported", "path": named, "merge": merge, "keys": reply["count"]})
    else:
        output.line(f"✓ Imported state from {where}")
        output.line(f"  ({'merged with' if merge else 'replaced'} existing state)")
    tell_of_memory(output, reply["kept"])


def _read(text: str, where: str) -> Mapping[str, Any]:
    if not text.strip():
        # A command before it in a pipe has failed, more often than not.
        raise InvalidRequest(
            f"{where} is empty; nothing was changed",
            hint="to remove everything: llmspell state clear",
            details={"file": where},
        )
    if text.lstrip().startswith("{"):
        return json_object(text, where)
    # JSON's objects begin with a brace, which nothing in TOML does.
    import tomllib

    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise InvalidRequest(f"{where} is neither a JSON object nor TOML: {problem}", details={"file": where}) from None
    for key, value in found.items():
        _demand_plain(value, key, where)
    return found


def _demand_plain(value: Any, key: str, where: str) -> None:
    """Raises for a date or a time, which TOML has and state can't keep."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            _demand_plain(inside, f"{key}.{name}", where)
    elif isinstance(value, list):
        for one in value:
            _demand_plain(one, key, where)
    elif not isinstance(value, (str, int, float)):
        raise InvalidRequest(
            f"{where}: '{key}' is a {type(value).__name__}, which state can't keep",
            hint=f'write it as a text: {key} = "{value}"',
            details={"file": where, "key": key},
        )


def _demand_one_scope(found: Mapping[str, Any], where: str) -> None:
    """Raises for a file of several scopes, which would become keys of one."""
    if found and all(_SCOPE.fullmatch(key) and isinstance(value, Mapping) for key, value in found.items()):
        raise InvalidRequest(
            f"{where} has entries by scope ({', '.join(list(found)[:3])})",
            hint="llmspell state import --scope all FILE",
            details={"file": where},
        )


def _entries(found: Mapping[str, Any], by_scope: bool, where: str) -> Iterator[Mapping[str, Any]]:
    if not by_scope:
        yield from ({"key": key, "value": value} for key, value in found.items())
        return
    for scope, inside in found.items():
        if not isinstance(inside, Mapping):
            raise InvalidRequest(f"{where}: '{scope}' has to be a scope with entries inside", details={"file": where})
        yield from ({"scope": scope, "key": key, "value": value} for key, value in inside.items())

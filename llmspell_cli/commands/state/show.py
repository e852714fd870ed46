"""`llmspell state show`."""

from __future__ import annotations

import json
from typing import Any

import click

from llmspell_cli.commands.state.requests import (
    Kept,
    Selected,
    ask_state,
    key_option,
    one_key,
    scope_option,
    selected,
    tell_of_memory,
)
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Session
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import NotFound
from llmspell_protocol.kept_values import shown

_LONGEST = 1000
"""Characters of a value at a terminal: a screenful."""


@click.command(
    "show",
    cls=Command,
    examples=(
        ("llmspell state show", "keys and values"),
        ("llmspell state show theme", "one of them"),
        ("llmspell state show --scope user:42", "of another scope"),
        ("llmspell state show --scope all --json | jq .state", "everything, for programs"),
    ),
)
@scope_option
@key_option
@format_option("text", "json", "pretty")
@click.argument("key", metavar="[KEY]", required=False)
def show(options: Options, scope: str, key_named: str | None, key: str | None) -> None:
    """Show keys and values, or one of them.

    At a terminal long values are cut; pipes and --json get all of them.
    """
    output = Output(options)
    wanted = selected(scope)
    key = one_key(key, key_named, wanted)
    with session(options, output) as opened:
        if key is not None:
            _show_one(opened, output, wanted.scope, key)
        else:
            _show_all(opened, output, wanted)


def _show_one(opened: Session, output: Output, scope: str, key: str) -> None:
    reply = ask_state(opened, "get", scope=scope, key=key)
    if reply["entry"] is None:
        tell_of_memory(output, reply["kept"])
        raise NotFound(
            f"Key '{key}' not found", hint="llmspell state show lists the keys", details={"key": key, "scope": scope}
        )
    value = shown(reply["entry"]["value"])
    if output.json:
        output.document({"key": key, "value": value, "scope": scope})
        return
    output.line(f"Key: {key}")
    if output.pretty and isinstance(value, (dict, list)):
        output.line("Value:")
        _show_value(output, "", json.dumps(value, ensure_ascii=False, indent=2), scope, key)
    else:
        _show_value(output, "Value: ", _text(value), scope, key)


def _show_all(opened: Session, output: Output, wanted: Selected) -> None:
    kept = Kept(opened, wanted)
    entries = [(one["scope"], one["key"], shown(one["value"])) for one in kept]
    if output.json:
        state: dict[str, Any] = {}
        for scope, key, value in entries:
            (state.setdefault(scope, {}) if wanted.kinds else state)[key] = value
        output.document({"scope": wanted.word, "state": state, "count": len(entries)})
    elif not entries:
        output.line("No state keys found")
    else:
        output.line(f"State keys ({len(entries)} total):")
        for scope, key, value in entries:
            named = f"{scope}:{key}" if wanted.kinds else key
            _show_value(output, f"  {named} = ", _text(value), scope, key)
    if not entries:
        tell_of_memory(output, kept.place)


def _show_value(output: Output, head: str, text: str, scope: str, key: str) -> None:
    """A value behind its key; at a terminal the beginning of a long one, and how the rest is seen."""
    if not output.terminal or len(text) <= _LONGEST:
        output.lines(text) if "\n" in text else output.line(head + text)
        return
    # Needed for long values only.
    import shlex

    output.lines(f"{head}{text[:_LONGEST]}…")
    of_scope = () if scope == "global" else ("--scope", scope)
    command = shlex.join(["llmspell", "state", "show", key, *of_scope])
    output.prose(f"  ({len(text.encode()):,} bytes in all: {command} | less)")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

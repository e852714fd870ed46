"""`llmspell config reload`: running kernels read their settings again."""

from __future__ import annotations

import os
from typing import Any

import click

from llmspell_cli.connect import connected, run_directory
from llmspell_cli.errors import one_line
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve, running_kernels
from llmspell_protocol.errors import KernelUnreachable, LlmspellError

_LISTS = (("applied", "in force"), ("at_next_load", "in force when a model is next loaded"))


@click.command(
    "reload",
    cls=Command,
    examples=(
        ("llmspell config reload", "every running kernel"),
        ("llmspell --connect k1 config reload", "one of them"),
    ),
)
def reload(options: Options) -> int:
    """Let running kernels read their settings again; work in progress goes on."""
    output = Output(options)
    run_dir = run_directory()
    infos = [resolve(options.connect, run_dir, os.environ)] if options.connect else running_kernels(run_dir)
    if not infos:
        raise KernelUnreachable("no kernel is running", hint="settings are read when one starts")
    told = [_reloaded(info) for info in infos]
    failed = [each for each in told if isinstance(each, LlmspellError)]
    if len(infos) == 1 and failed:
        raise failed[0]
    names = [info.id or info.address for info in infos]
    if output.json:
        entries = [_entry(name, each) for name, each in zip(names, told, strict=True)]
        output.document({"kernels": entries, "count": len(entries)})
    else:
        for name, each in zip(names, told, strict=True):
            _show(output, name, each)
    return failed[0].exit_status if failed else 0


def _reloaded(info: ConnectionInfo) -> dict[str, Any] | LlmspellError:
    try:
        with connected(info) as opened:
            return document(opened.ask("kernel_request", {"action": "reload_config"}))
    except LlmspellError as error:
        return error


def _show(output: Output, name: str, told: dict[str, Any] | LlmspellError) -> None:
    if isinstance(told, LlmspellError):
        output.line(f"✗ {name}: {one_line(told)}")
        return
    restart = told.get("restart_needed") or []
    changed = [(words, told[key]) for key, words in _LISTS if told.get(key)]
    if not changed and not restart:
        output.line(f"✓ {name}: nothing has changed")
        return
    output.line(f"{'✓' if changed else '⚠'} {name}")
    for words, keys in changed:
        output.line(f"  {', '.join(keys)}: {words}")
    if restart:
        output.line(f"  {', '.join(restart)}: only after a restart")


def _entry(name: str, told: dict[str, Any] | LlmspellError) -> dict[str, Any]:
    if isinstance(told, LlmspellError):
        return {"id": name, "error": {"code": told.code, "message": told.message, "hint": told.hint}}
    return {"id": name, **{key: told.get(key) or [] for key in ("applied", "at_next_load", "restart_needed")}}

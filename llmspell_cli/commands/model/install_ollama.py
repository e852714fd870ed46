"""`llmspell model install-ollama`."""

from __future__ import annotations

import sys
from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import Unsupported


@click.command(
    "install-ollama",
    cls=Command,
    examples=(
        ("llmspell model install-ollama --print", "only shows what would be run"),
        ("llmspell model install-ollama --yes", "without a question"),
    ),
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("--print", "only_show", is_flag=True, help="Only show what would be run.")
def install_ollama(options: Options, yes: bool, only_show: bool) -> None:
    """Install Ollama on this machine, or with --connect on the kernel's."""
    output = Output(options)
    if sys.platform == "win32":
        raise Unsupported("Ollama is installed by hand on Windows", hint="https://ollama.com/download/windows")
    with session(options, output) as opened:
        plan = opened.model("install_ollama", execute=False)
        if plan.get("installed") or only_show:
            _show(output, plan)
            return
        if not output.json:
            _show(output, plan)
        where = "" if opened.mode == "embedded" else f" on the machine of kernel {opened.client.info.address}"
        if not confirmed(output, f"Run it now{where}?", yes=yes):
            return
        done = opened.model("install_ollama", execute=True)
    if output.json:
        output.document(done)
    else:
        output.line("Ollama installed successfully")


def _show(output: Output, plan: dict[str, Any]) -> None:
    if output.json:
        output.document(plan)
    elif plan.get("installed"):
        output.line(f"Ollama is already installed ({plan.get('version') or 'version unknown'})")
    else:
        for line in plan["instructions"]:
            output.line(line)

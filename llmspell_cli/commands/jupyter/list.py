"""`llmspell jupyter list`: the kernelspecs of ours that Jupyter finds."""

from __future__ import annotations

import sys

import click

from llmspell_cli.invocation import Options
from llmspell_cli.kernelspecs.places import kernels_directory, kernelspecs, searched_directories
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path


@click.command(
    "list",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell jupyter list", "kernelspecs of llmspell"),
        ("llmspell jupyter list --prefix env --json", "below a prefix"),
    ),
)
@click.option("--prefix", metavar="DIR", help="In DIR/share/jupyter/kernels only.")
def list_kernelspecs(options: Options, prefix: str | None) -> None:
    """Show the kernelspecs of llmspell where Jupyter looks for them."""
    output = Output(options)
    if prefix is not None:
        places = [kernels_directory(prefix)]
    else:
        places = list(dict.fromkeys([kernels_directory(None), kernels_directory(sys.prefix), *searched_directories()]))
    found = [(one, one.problem) for one in kernelspecs(places)]
    if output.json:
        rows = [
            {
                "name": one.name,
                "display_name": one.display_name,
                "kind": one.kind,
                "configuration": one.configuration,
                "env": one.environment,
                "works": problem is None,
                "problem": problem,
                "path": str(one.directory),
                "argv": list(one.argv),
            }
            for one, problem in found
        ]
        output.document({"kernelspecs": rows, "count": len(rows)})
    elif found:
        output.table(
            ("NAME", "KERNEL", "CONFIGURATION", "PATH"),
            [(one.name, one.kind, one.configuration or "-", home_path(str(one.directory))) for one, _ in found],
        )
        for one, problem in found:
            if problem is not None:
                output.warning(f"{one.name} does not work: {problem}")
    else:
        output.line("No kernelspecs of llmspell found")
        output.hint("llmspell jupyter install")

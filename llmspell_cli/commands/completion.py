"""`llmspell completion`: the script for a shell."""

from __future__ import annotations

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output

_BEGIN = {
    "bash": "source <(llmspell completion bash)",
    "zsh": "source <(llmspell completion zsh)",
    "fish": "llmspell completion fish | source",
}


@click.command(
    "completion",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell completion bash > ~/.llmspell.bash", "a file to source"),
        ("llmspell completion zsh", "for zsh"),
        ("llmspell completion fish | source", "in fish, at once"),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
def completion(options: Options, shell: str) -> None:
    """Print the script that makes bash, zsh or fish complete llmspell's command lines.

    Commands, options, profiles, backends, installed models, running kernels and configuration sections are found on
    disk; no kernel is asked.
    """
    # The root is being loaded when this module could import it at its top.
    from llmspell_cli.completion.shells import source
    from llmspell_cli.root import root

    output = Output(options)
    script = source(shell, root)
    if output.json:
        output.document({"shell": shell, "script": script, "usage": _BEGIN[shell]})
    else:
        output.write(script)

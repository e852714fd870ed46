"""Examples in a command's help: data on the command, rendered as a block. Knows text, not commands."""

from __future__ import annotations

from collections.abc import Sequence

import click

Examples = Sequence[tuple[str, str]]
"""`(command line, what it does)`: the line as a user types it, beginning with `llmspell` or a pipe into it.

A line of 54 characters at most fits a terminal of 60 columns. Tests parse every one with the real parser.
"""

_INDENT = "    "


def write_examples(formatter: click.HelpFormatter, examples: Examples) -> None:
    """The block `EXAMPLES:`; remarks stand behind the lines, or above them where the terminal is too narrow for that.

    Command lines are never broken: they are there to be copied.
    """
    if not examples:
        return
    column = max(len(line) for line, _ in examples)
    fits = all(len(_INDENT) + column + len("   # ") + len(remark) <= formatter.width for _, remark in examples)
    formatter.write_paragraph()
    formatter.write("EXAMPLES:\n")
    for line, remark in examples:
        if fits:
            formatter.write(f"{_INDENT}{line:<{column}}   # {remark}\n")
        else:
            formatter.write(f"{_INDENT}# {remark}\n{_INDENT}{line}\n")

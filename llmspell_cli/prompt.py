"""Questions on stdout with one line from stdin as the answer. Knows no command."""

from __future__ import annotations

import sys

from llmspell_cli.endings import NoAnswer
from llmspell_cli.output import Output
from llmspell_protocol.errors import InvalidRequest


def confirmed(output: Output, question: str, *, yes: bool) -> bool:
    """Whether the user says yes to `question [y/N]: `; says `Cancelled` where not.

    Raises:
        InvalidRequest: JSON mode asks nothing, so it needs `--yes`.
        NoAnswer: the input ended.
    """
    if yes:
        return True
    if output.json:
        raise InvalidRequest("this command asks a question, which JSON mode can't", hint="use --yes")
    output.write(f"{question} [y/N]: ")
    answer = sys.stdin.readline()
    if not answer:
        output.line()
        raise NoAnswer("Cancelled", hint="use --yes")
    if answer.strip() in ("y", "Y"):
        return True
    output.line("Cancelled")
    return False

"""Questions with one line from stdin as the answer: on stdout, or where that goes elsewhere on a terminal's stderr.

Knows no command.
"""

from __future__ import annotations

import sys

from llmspell_cli.endings import NoAnswer
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output, to_stderr
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import InvalidRequest


def confirmed(output: Output, question: str, *, yes: bool, hint: str = "use --yes") -> bool:
    """Returns whether the user answers `question [y/N]: ` with yes; prints `Cancelled` otherwise.

    `hint` says how to run the command where no answer is possible.

    Raises:
        InvalidRequest: JSON mode asks nothing.
        NoAnswer: the input ended.
    """
    if yes:
        return True
    if output.json:
        raise InvalidRequest("this command asks a question, which JSON mode can't", hint=hint)
    try:
        said = answer(output, f"{visible(question)} [y/N]: ")
    except KeyboardInterrupt:
        _ask(output, "\n")  # What is said about it does not belong behind the question.
        raise
    except EOFError:
        output.line()
        raise NoAnswer("Cancelled", hint=hint) from None
    if said.strip() in ("y", "Y"):
        return True
    output.line("Cancelled")
    return False


def answer(output: Output, question: str) -> str:
    """The line that answers a question.

    Raises:
        EOFError: the input ended.
    """
    if sys.stdin.isatty():
        with Interrupts() as interrupts:
            _ask(output, question)
            return typed_line(interrupts)
    output.write(question)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _ask(output: Output, text: str) -> None:
    if sys.stdin.isatty() and sys.stderr.isatty() and not output.terminal:
        # Who types sees no file.
        to_stderr(text)
    else:
        output.write(text)

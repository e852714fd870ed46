"""What is typed into a repl at a terminal, and how it is left."""

from __future__ import annotations

from tests.support.command_line import AtTerminal


def say(terminal: AtTerminal, *exchange: tuple[str, str]) -> None:
    """Types lines at the prompt and waits for what each is answered with, and for the next prompt."""
    for line, answer in exchange:
        terminal.type(line + "\r")
        terminal.wait_for(answer)
        terminal.wait_for("> ")


def leave(terminal: AtTerminal) -> None:
    """Ends a repl in order."""
    terminal.type("\x04")
    assert terminal.end() == 0

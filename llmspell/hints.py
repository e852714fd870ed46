"""What to do about an error, where a program shows nothing but a traceback: the hint stands below it as a note."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llmspell_protocol.errors import LlmspellError


@contextmanager
def hints_shown() -> Iterator[None]:
    """Gives errors that pass their hint as a note, once."""
    try:
        yield
    except LlmspellError as error:
        note = f"hint: {error.hint}"
        if error.hint and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise

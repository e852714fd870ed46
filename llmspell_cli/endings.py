"""Endings that the user chose; not failures, so they are shown without the word "Error:"."""

from __future__ import annotations

from llmspell_protocol.errors import Cancelled, LlmspellError


class EndedByUser(Cancelled):
    """The user ended the command."""


class Interrupted(EndedByUser):
    """Ctrl-C; the request has ended at the kernel, or two seconds have passed. `details.partial` is what had come.

    `answer` is what the kernel said to it, if anything.
    """

    answer: LlmspellError | None = None


class NoAnswer(EndedByUser):
    """Standard input ended before a question was answered."""

    exit_status = 1

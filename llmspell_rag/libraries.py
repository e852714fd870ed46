"""The libraries of the extra `rag`: imported where one is needed, or told how they are installed."""

from __future__ import annotations

from functools import partial

from llmspell_protocol.extras import library_of

library = partial(library_of, "rag")
"""A module of the extra, by its name, its package's, and what can't be done without it."""

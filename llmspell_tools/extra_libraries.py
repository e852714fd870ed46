"""The libraries of the extra `tools`: imported where a tool needs one, or told how they are installed."""

from __future__ import annotations

from functools import partial

from llmspell_protocol.extras import library_of

library = partial(library_of, "tools")
"""A module of the extra, by its name, its package's, and what can't be done without it."""

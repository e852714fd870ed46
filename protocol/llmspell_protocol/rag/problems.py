"""How a document that failed is named in a line. Knows words alone."""

from __future__ import annotations


def problem_line(source: str, message: str) -> str:
    """The source and what is wrong with it; most messages of files name them already."""
    return message if source in message else f"{source}: {message}"

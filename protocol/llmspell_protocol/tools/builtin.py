"""The tools that come with this version, from the table that is written from their code (`make schemas`)."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from llmspell_protocol.tools.description import ToolDescription

TABLE = Path(__file__).with_name("builtin.json")


@functools.cache
def builtin_tools() -> Mapping[str, ToolDescription]:
    """Every tool by name, in the order of names."""
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    return {row["name"]: ToolDescription.from_content(row) for row in rows}

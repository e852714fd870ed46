"""Which cells ask about a name, whatever stands around it."""

from __future__ import annotations

import pytest

from llmspell_kernel.scripting.help_cell import Help, wanted_help


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("print?", Help("print", False)),
        (" \n LocalLLM.chat ?? \n", Help("LocalLLM.chat", True)),
        ("? a:b", Help("a:b", False)),
        ("??a", Help("a", True)),
        ("print", None),
        ("1?", None),
        ("a? b?", None),
        ("print('?')", None),
        (" " * 100_000 + "print?" + " " * 100_000, Help("print", False)),
        (" " * 1_000_000 + "1?", None),
        ("a" + " " * 1_000_000 + "1?", None),
        ("?" * 1_000_000, None),
        ("a" * 1_000_000 + "?", None),
    ],
)
def test_cells_that_ask(code: str, asked: Help | None) -> None:
    assert wanted_help(code) == asked

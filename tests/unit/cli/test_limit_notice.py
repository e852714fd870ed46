"""What a chat says about a limit that ended a turn with tools."""

from __future__ import annotations

import pytest

from llmspell_cli.chat.tool_use import limit_notice


@pytest.mark.parametrize(
    ("limit", "notice"),
    [
        (None, None),
        ("max_tool_calls", "[stopped after 2 calls of tools without an answer: max_tool_calls]"),
        ("failed_calls", "[answered without tools: the calls of three replies in a row had failed]"),
    ],
)
def test_a_limit_is_told_as_what_it_did(limit: str | None, notice: str | None) -> None:
    assert limit_notice({"limit": limit, "tool_calls": [{}, {}]}) == notice

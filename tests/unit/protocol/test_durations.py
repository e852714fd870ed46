"""Durations as people write them."""

from __future__ import annotations

import re

import pytest

from llmspell_protocol.durations import duration_seconds


@pytest.mark.parametrize(("written", "seconds"), [("300ms", 0.3), ("90s", 90), ("5m", 300), ("1h30m", 5400)])
def test_a_duration_is_written_with_units(written: str, seconds: float) -> None:
    assert duration_seconds(written) == seconds


@pytest.mark.parametrize("written", ["", "m", "5", "5x", "5 m", "-5m", "five"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(written)}$"):
        duration_seconds(written)

"""How values are kept: small, and the same when they are read again."""

from __future__ import annotations

import pytest

from llmspell_kernel.services.sessions.packing import packed, unpacked


@pytest.mark.parametrize("value", [{"a": [1, None, "ü", 1.5]}, {"long": "word " * 5000}, {"half": "\ud800"}, {}])
def test_a_value_is_the_same_again(value: object) -> None:
    assert unpacked(packed(value)) == value


def test_what_repeats_itself_becomes_small() -> None:
    assert len(packed({"messages": [{"role": "user", "content": "the same words again and again"}] * 1000})) < 1000


def test_bytes_are_base64_in_it() -> None:
    assert unpacked(packed({"image": b"\x00\xff"})) == {"image": "AP8="}

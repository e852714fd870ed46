"""What is kept of an answer that ends in an error."""

from __future__ import annotations

from llmspell_kernel.partial import KEPT_CHARACTERS, Partial


def test_pieces_join_by_name() -> None:
    partial = Partial()
    assert not partial
    for name, piece in (("stdout", "a"), ("stderr", "x"), ("stdout", "b")):
        partial.add(name, piece)

    assert partial.content() == {"stdout": "ab", "stderr": "x"}


def test_of_a_long_text_the_end_is_kept() -> None:
    partial = Partial()
    for number in range(100_000):
        partial.add("stdout", f"{number:09}\n")

    kept = partial.content()["stdout"]
    assert len(kept) == KEPT_CHARACTERS
    assert kept.endswith("000099999\n")


def test_one_piece_that_is_too_long_is_cut_at_its_front() -> None:
    partial = Partial()
    partial.add("text", "x" * KEPT_CHARACTERS + "end")
    assert len(partial.content()["text"]) == KEPT_CHARACTERS
    assert partial.content()["text"].endswith("end")

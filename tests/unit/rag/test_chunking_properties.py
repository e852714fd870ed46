"""What holds for every strategy, text, size and tokenizer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.documents import Chunk
from llmspell_protocol.rag.reading import Chunking, Strategy
from llmspell_rag.chunking.contract import sizes_of
from llmspell_rag.chunking.cutting import chunk
from llmspell_rag.documents.reading import read
from llmspell_rag.documents.text import Text
from tests.support.token_counts import Counted, byte_pairs, characters, growing, words

RULES: tuple[Callable[[str], int], ...] = (words, characters, byte_pairs, growing)
_PIECES = (
    *(
        "word ",
        "Two words. ",
        "Dr. Who said: “no”. ",
        "\n\n",
        "\n",
        "\r\n",
        "    ",
        "\t",
        "x" * 90,
        "é",
        "日本語。",
        "中文，很难！",
    ),
    *(
        "# Heading\n",
        "## Another one\n\n",
        "- item\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "```\ncode\n```\n",
        "def f():\n    pass\n\n",
    ),
    *(
        "class A:\n    def m(self):\n        return 1\n\n",
        "# comment\n",
        "😀",
        "e\u0301",
        "...",
        "1. a 2. b",
        "\u2028",
        "\x0b",
        "\xa0",
    ),
)
_NAMES = ("a.txt", "a.md", "a.py", "a.kt", "a.csv")

texts = st.lists(st.sampled_from(_PIECES) | st.text(max_size=12), min_size=1, max_size=60).map("".join)


@st.composite
def wanted(draw: st.DrawFn) -> Chunking:
    """Settings that go together, close to each other now and then."""
    size = draw(st.integers(8, 120))
    return Chunking(
        strategy=draw(st.sampled_from(get_args(Strategy))),
        chunk_size=size,
        overlap=draw(st.integers(0, size - 1) | st.just(size - 1)),
        min_chunk_size=draw(st.integers(0, size)),
        max_chunk_size=draw(st.integers(size, 300)),
    )


def document_of(text: str, name: str) -> Text | None:
    """The text as a document of that name; None where it is none."""
    try:
        return read(text.encode("utf-8", "replace"), name)
    except InvalidRequest:
        return None


@settings(max_examples=400)
@given(texts, st.sampled_from(_NAMES), wanted(), st.integers(8, 200), st.sampled_from(RULES))
def test_chunks_are_passages_within_the_limit_that_leave_nothing_out(
    text: str, name: str, chunking: Chunking, limit: int, rule: Callable[[str], int]
) -> None:
    document = document_of(text, name)
    if document is None:
        return
    chunks = list(chunk(document, chunking, Counted(rule, limit)))
    sizes = sizes_of(chunking, limit)
    covered = bytearray(len(document.text))
    for at, one in enumerate(chunks):
        assert one.ordinal == at
        assert one.text == document.text[one.start : one.end]
        assert one.text.strip()
        assert one.tokens == rule(one.text) <= sizes.most <= limit
        assert one.line == document.text.count("\n", 0, one.start) + 1
        covered[one.start : one.end] = b"x" * (one.end - one.start)
    assert all(covered[at] or letter.isspace() for at, letter in enumerate(document.text))
    assert chunks == list(chunk(document, chunking, Counted(rule, limit)))
    for before, after in pairwise(chunks):
        assert after.end > before.end
        assert after.start > before.start
        if after.start < before.end:
            assert rule(document.text[after.start : before.end].rstrip()) <= chunking.overlap


@settings(max_examples=300)
@given(texts, st.sampled_from(_NAMES), wanted(), st.integers(8, 200))
def test_chunks_are_as_large_as_is_wanted_where_counts_add_up(
    text: str, name: str, chunking: Chunking, limit: int
) -> None:
    """With words of few letters and no marks, of which no tokenizer counts more together than apart."""
    document = document_of(" ".join(word[:4] for word in text.split() if word.isalnum()) or "a", name)
    if document is None:
        return
    sizes = sizes_of(chunking, limit)
    chunks = list(chunk(document, chunking, Counted(words, limit)))
    assert all(one.tokens >= sizes.least for one in chunks[:-1])
    if chunking.strategy == "sliding_window":
        assert all(one.tokens <= sizes.size for one in chunks[:-1])


@given(st.integers(1, 6), st.integers(1, 40))
def test_a_word_longer_than_the_limit_is_divided_between_characters(limit: int, length: int) -> None:
    document = Text(text="x" * length, media_type="text/plain")
    chunking = Chunking(chunk_size=limit, overlap=0, min_chunk_size=0, max_chunk_size=limit)
    chunks = list(chunk(document, chunking, Counted(characters, limit)))
    assert "".join(one.text for one in chunks) == document.text
    assert max(one.tokens for one in chunks) <= limit


def test_a_limit_that_no_character_fits_is_told() -> None:
    document = Text(text="a 😀", media_type="text/plain")
    chunking = Chunking(chunk_size=1, overlap=0, min_chunk_size=0, max_chunk_size=1)
    with pytest.raises(InvalidRequest, match="can't hold every character"):
        list(chunk(document, chunking, Counted(byte_pairs, 1)))


def test_an_overlap_of_all_but_one_token_goes_on_a_word_a_chunk() -> None:
    text = " ".join("abcdefgh"[at % 8] for at in range(100))
    chunking = Chunking(strategy="sliding_window", chunk_size=20, overlap=19, min_chunk_size=0, max_chunk_size=20)
    chunks = list(chunk(Text(text=text, media_type="text/plain"), chunking, Counted(words, 20)))
    assert len(chunks) == 81
    assert all(one.tokens == 20 for one in chunks)


def pages_of(chunks: list[Chunk], starts: list[int]) -> list[int]:
    """The page in which each chunk begins."""
    return [bisect_right(starts, one.start) for one in chunks]


@given(st.lists(texts, min_size=1, max_size=6), wanted())
def test_pages_are_counted_from_one(contents: list[str], chunking: Chunking) -> None:
    starts, text = [], ""
    for content in contents:
        starts.append(len(text))
        text += content + "\n\n"
    document = Text(text=text, media_type="application/pdf", pages=starts)
    chunks = list(chunk(document, chunking, Counted(words, 100)))
    assert [one.page for one in chunks] == pages_of(chunks, starts)

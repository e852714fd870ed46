"""Where each strategy divides a text, and what its chunks say of themselves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.documents import Chunk
from llmspell_protocol.rag.reading import Chunking
from llmspell_rag.chunking.contract import sizes_of
from llmspell_rag.chunking.cutting import chunk, strategy_for
from llmspell_rag.chunking.sentences import sentences
from llmspell_rag.documents.reading import read
from llmspell_rag.documents.text import Text
from tests.support.token_counts import Counted, blanks, words


def cut(source: str, name: str, *, limit: int = 1000, **sizes: Any) -> list[Chunk]:
    """The chunks of a document, without overlap and least size unless they are named."""
    given = {"overlap": 0, "min_chunk_size": 0, **sizes}
    return list(chunk(read(source.encode(), name), Chunking(**given), Counted(blanks, limit)))


def texts(chunks: list[Chunk]) -> list[str]:
    """What the chunks say."""
    return [one.text for one in chunks]


def test_a_sliding_window_is_full_and_shares_its_end_with_the_next() -> None:
    source = " ".join("abcdefghij")
    chunks = cut(source, "x.txt", strategy="sliding_window", chunk_size=4, max_chunk_size=4, overlap=1)
    assert texts(chunks) == ["a b c d", "d e f g", "g h i j"]
    assert [one.tokens for one in chunks] == [4, 4, 4]


def test_sentences_stay_whole_even_beyond_the_size_and_overlap_by_whole_ones_where_they_fit() -> None:
    source = "One two. Three four. Five six seven eight nine ten eleven. Last one."
    chunks = cut(source, "x.txt", strategy="sentence", chunk_size=5, max_chunk_size=12, overlap=3)
    assert texts(chunks) == [
        "One two. Three four.",
        "Three four. Five six seven eight nine ten eleven.",
        "nine ten eleven. Last one.",
    ]


def test_a_sentence_beyond_the_largest_size_is_divided_between_words() -> None:
    chunks = cut("a b c d e f g h i.", "x.txt", strategy="sentence", chunk_size=4, max_chunk_size=8)
    assert texts(chunks) == ["a b c d", "e f g h", "i."]


def test_paragraphs_are_put_together_until_a_chunk_is_full() -> None:
    source = "One two.\n\nThree four.\n\nFive six. Seven eight.\n \nNine."
    chunks = cut(source, "x.txt", strategy="paragraph", chunk_size=4)
    assert texts(chunks) == ["One two.\n\nThree four.", "Five six. Seven eight.", "Nine."]
    assert [one.line for one in chunks] == [1, 5, 7]


def test_sections_begin_chunks_unless_the_one_before_is_too_short() -> None:
    source = "# A\n\none two three\n\n## B\n\nfour five six\n\n# C\n\nx\n\n# D\n\nseven eight\n"
    chunks = cut(source, "x.md", chunk_size=50, min_chunk_size=5)
    assert [(one.section, one.text.split("\n")[0]) for one in chunks] == [
        ("A", "# A"),
        ("A > B", "## B"),
        ("C", "# C"),
    ]
    assert chunks[-1].text == "# C\n\nx\n\n# D\n\nseven eight"


def test_a_table_and_a_block_of_code_stay_whole_where_they_fit() -> None:
    code = "```\na = 1\n\nb = 2\n```"
    source = f"# A\n\nWords before it. And more words.\n\n{code}\n\nWords behind it.\n"
    chunks = cut(source, "x.md", chunk_size=22)
    assert [one for one in chunks if code in one.text]


def test_text_that_is_cut_as_markdown_is_read_as_markdown() -> None:
    chunks = cut("# A\n\none\n\n# B\n\ntwo\n", "x.txt", strategy="markdown")
    assert texts(chunks) == ["# A\n\none", "# B\n\ntwo"]


def test_definitions_begin_chunks_and_keep_their_indentation() -> None:
    source = (
        "import os\n\n\ndef a():\n    return 1\n\n\n"
        "class B:\n    def c(self):\n        return 22\n\n    def d(self):\n        return 3\n"
    )
    chunks = cut(source, "x.py", chunk_size=8)
    assert [(one.section, one.text.split("\n")[0], one.line) for one in chunks] == [
        (None, "import os", 1),
        ("a", "def a():", 4),
        ("B", "class B:", 8),
        ("B > d", "    def d(self):", 12),
    ]


def test_source_without_a_grammar_is_cut_at_blank_lines_and_lines() -> None:
    chunks = cut("fun a() {\n  b\n}\n\nfun c() {\n  d\n}\n", "x.kt", chunk_size=8)
    assert texts(chunks) == ["fun a() {\n  b\n}", "fun c() {\n  d\n}"]


def test_records_begin_chunks() -> None:
    source = "name,size\na,1\nb,2\nc,3\n"
    assert texts(cut(source, "x.csv")) == ["name: a\nsize: 1", "name: b\nsize: 2", "name: c\nsize: 3"]
    assert texts(cut(source, "x.csv", min_chunk_size=5)) == ["name: a\nsize: 1\n\nname: b\nsize: 2\n\nname: c\nsize: 3"]


def test_meaning_divides_where_the_words_change() -> None:
    source = "aa aa aa. aa aa a. aaa aa. zz zz zz. zz zzz z. zz z z."
    chunks = cut(source, "x.txt", strategy="semantic", chunk_size=100)
    assert [set(one.text) & {"a", "z"} for one in chunks[:1]] == [{"a"}]
    assert {"z"} == set(chunks[-1].text) & {"a", "z"}


def test_a_sentence_beyond_the_models_limit_is_not_embedded() -> None:
    measures = Counted(words, 6)
    document = Text(text="A b. " + "c " * 20 + ". D e. F g.", media_type="text/plain")
    wanted = Chunking(strategy="semantic", chunk_size=6, overlap=0, min_chunk_size=0)
    chunks = list(chunk(document, wanted, measures))
    assert max(one.tokens for one in chunks) <= 6
    assert all(words(text) <= 6 for batch in measures.embedded for text in batch)


@pytest.mark.parametrize(
    ("name", "source", "strategy"),
    [
        ("x.md", "# A\n\nb", "markdown"),
        ("x.html", "<h1>A</h1><p>b", "markdown"),
        ("x.py", "x = 1\n", "code"),
        ("x.kt", "val x = 1\n", "code"),
        ("x.csv", "a\n1\n", "paragraph"),
        ("x.jsonl", '{"a": 1}\n', "paragraph"),
        ("x.txt", "Words.", "paragraph"),
    ],
)
def test_auto_goes_by_the_kind_of_document(name: str, source: str, strategy: str) -> None:
    assert strategy_for(read(source.encode(), name)) == strategy


def test_sizes_shrink_to_the_models_limit_in_proportion() -> None:
    sizes = sizes_of(Chunking(chunk_size=512, overlap=64, min_chunk_size=100, max_chunk_size=2048), 256)
    assert (sizes.size, sizes.overlap, sizes.least, sizes.most) == (256, 32, 100, 256)


@pytest.mark.parametrize(
    "wanted",
    [
        Chunking(chunk_size=10, overlap=10, min_chunk_size=0),
        Chunking(chunk_size=10, overlap=-1, min_chunk_size=0),
        Chunking(chunk_size=10, overlap=0, min_chunk_size=11),
        Chunking(chunk_size=10, overlap=0, min_chunk_size=0, max_chunk_size=9),
        Chunking(chunk_size=0, overlap=0, min_chunk_size=0),
        Chunking(strategy="words"),  # type: ignore[arg-type]
    ],
)
def test_sizes_that_do_not_go_together_are_refused(wanted: Chunking) -> None:
    with pytest.raises(InvalidRequest):
        sizes_of(wanted, 100)


def test_words_are_counted_once() -> None:
    measures = Counted(words, 100)
    document = Text(text="the same words " * 5000, media_type="text/plain")
    chunks = list(chunk(document, Chunking(strategy="sliding_window"), measures))
    asked = sum(len(batch) for batch in measures.asked)
    assert asked < 3 * len(chunks) + 10


# Sentences


def shown(text: str, language: str | None = None) -> list[str]:
    """The sentences of a text."""
    places = [*sentences(text, language), len(text)]
    return [text[begin:end].strip() for begin, end in pairwise(places)]


def test_abbreviations_numbers_and_quotes_end_no_sentence() -> None:
    text = 'Dr. Smith paid $3.50 on Jan. 5th. "Is it?" she asked. It is e.g. here!'
    assert shown(text) == ["Dr. Smith paid $3.50 on Jan. 5th.", '"Is it?" she asked.', "It is e.g. here!"]


def test_sentences_of_scripts_without_spaces_end_too() -> None:
    assert shown("今日は晴れです。明日は雨です！本当？") == ["今日は晴れです。", "明日は雨です！", "本当？"]
    assert shown("这是一句话。那是另一句。", "zh-CN") == ["这是一句话。", "那是另一句。"]


def test_a_language_that_is_not_known_is_no_reason_to_stop() -> None:
    assert shown("Eins. Zwei.", "tlh-Latn") == ["Eins.", "Zwei."]
    assert shown("Das ist z. B. gut. Ende.", "de") == ["Das ist z. B. gut.", "Ende."]

"""Words of texts and of searches: the same in every script, and found in an index of FTS5."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.services.sessions import tables
from llmspell_storage import words
from llmspell_storage.opening import opened


def finds(text: str, wanted: str) -> bool:
    """Whether the search for words finds a text."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')")
        connection.execute("INSERT INTO texts VALUES (?)", (words.searchable(text),))
        found = connection.execute("SELECT 1 FROM texts WHERE texts MATCH ?", (words.query(wanted.split()),))
        return found.fetchone() is not None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Die Straße ist lang", "strasse"),
        ("Die Strasse ist lang", "STRAßE"),
        ("Zürich liegt am See", "zurich SEE"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσεύς"),
        ("ﬁne", "fine"),
        ("東京都庁に行く", "東京"),
        ("東京都庁に行く", "京都"),
        ("東京都庁に行く", "庁"),
        ("東京都庁に行く", "東"),
        ("東京都庁に行く", "都庁に行"),
        ("今天天气很好", "天气"),
        ("これはテストです", "テスト"),
        ("ﾃｽﾄです", "テスト"),
        ("서울에서 왔어요", "서울"),
        ("Python3は東京tower", "東京tower"),
        ("ask e.g. don't", "don't"),
        ('say "so"', '"so"'),
    ],
)
def test_a_word_is_found(text: str, wanted: str) -> None:
    assert finds(text, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Straßen", "strasse"), ("東京都庁", "東都"), ("東京 都庁", "京都"), ("needle", "need"), ("hay", "hay needle")],
)
def test_what_does_not_stand_there_is_not_found(text: str, wanted: str) -> None:
    assert not finds(text, wanted)


@given(st.text(max_size=60), st.text(alphabet='aßé東京都カ한"*()-^ \0', max_size=12))
def test_no_text_and_no_word_is_an_error(text: str, wanted: str) -> None:
    if wanted.replace("\0", " ").split():
        finds(text.replace("\0", " "), wanted.replace("\0", " "))
    words.excerpt(text, wanted.split())


@given(st.text(alphabet="abß東京都が ", min_size=1, max_size=30), st.data())
def test_every_piece_of_unspaced_text_is_found(text: str, data: st.DataObject) -> None:
    text = f"東{text}京"
    run = data.draw(st.sampled_from([one[0] for one in words._UNSPACED.finditer(words.folded(text))]))
    at = data.draw(st.integers(0, len(run) - 1))
    assert finds(text, run[at : data.draw(st.integers(at + 1, len(run)))])


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("Where is Zürich?", "zurich", "Where is [Zürich]?"),
        ("Die Straße, die Strasse", "STRASSE", "Die [Straße], die [Strasse]"),
        ("東京都庁に行く", "京都", "東[京都]庁に行く"),
        ("needles and a needle", "needle", "needles and a [needle]"),
        ("don't", "don't", "[don't]"),
        ("no such thing", "else", "no such thing"),
        ("x" * 100 + " needle " + "y" * 100, "needle", f"…{'x' * 59} [needle] {'y' * 53}…"),
    ],
)
def test_an_excerpt_shows_the_text_as_it_was_written(text: str, wanted: str, shown: str) -> None:
    assert words.excerpt(text, wanted.split()) == shown


def test_words_of_an_older_database_are_brought_over_and_a_copy_stays_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    older = tables.SCHEMA._replace(migrations=tables.SCHEMA.migrations[:1])
    with closing(opened(older, file)) as connection:
        for number, text in enumerate(("Die Straße", "東京都", "plain TEXT"), 1):
            connection.execute("INSERT INTO texts (rowid, text, session_id) VALUES (?, ?, 's')", (number, text))
    with closing(opened(tables.SCHEMA, file)) as connection:
        for wanted, number in (("strasse", 1), ("京都", 2), ("text", 3)):
            query = words.query([wanted])
            assert connection.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (query,)).fetchall() == [(number,)]
        connection.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
    assert (tmp_path / "sessions.db.version-1.backup").exists()

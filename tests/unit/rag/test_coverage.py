"""How much of a question a passage must have to be found by words beside vectors, and what that does to a search."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from math import log

import pytest

from llmspell_rag.collections.coverage import least_fit, passages_with, telling
from llmspell_storage.words import any_of
from tests.support.rag_room import Room, embedded

TEXTS = {
    "error": "The pump stops with ERR-4711 when the valve sticks.",
    "filter": "The pump stops when the filter is full, and starts by itself once it is clean.",
    "hibernation": "Hedgehogs sleep from November until spring comes, and their heart beats slowly.",
    "wolves": "Wolves hunt in packs when snow lies on the ground.",
    "dough": "Let it rest for an hour in a warm place, until it has doubled its size.",
}


@pytest.fixture
def texts() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        rows = [("tide",), ("tide and moon",), ("tide err 4711",), ("err 9 4711",)]
        connection.executemany("INSERT INTO words VALUES (?)", rows)
        yield connection


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room(None)
    for key, text in TEXTS.items():
        made.write(key, [text])
    yield made
    made.calls.close()


def found(room: Room, question: str, like: str, method: str = "hybrid") -> list[str]:
    """Documents for a question whose vector is that of one of the texts, the best first."""
    return room.search(question, method=method, vector=embedded(TEXTS[like]).tobytes())


def test_passages_are_counted_by_word_phrase_and_beginning(texts: sqlite3.Connection) -> None:
    terms = [*any_of("tide ERR-4711 sun"), '"ti"*']
    assert passages_with(texts, "words", terms) == {
        '"tide"': 3,
        '"err 4711"': 1,
        '"err"': 2,
        '"4711"': 2,
        '"sun"': 0,
        '"ti"*': 3,
    }


def test_words_that_stand_in_half_of_many_passages_say_nothing_unless_there_are_no_others() -> None:
    assert telling({"the": 900, "half": 500, "tide": 499}, 1000) == ["tide"]
    assert telling({"the": 900, "half": 500}, 1000) == ["the", "half"]
    assert telling({"the": 900, "tide": 1}, 999) == ["the", "tide"]


def test_the_least_fit_is_a_share_of_what_all_words_weigh_those_that_stand_nowhere_included() -> None:
    known = log((100 - 3 + 0.5) / 3.5)
    unknown = log(100.5 / 0.5)
    assert least_fit({"tide": 3}, 100) == pytest.approx(0.55 * known)
    assert least_fit({"tide": 3, "sun": 0}, 100) == pytest.approx(0.55 * (known + unknown))
    assert least_fit({"the": 80}, 100) == 0
    assert least_fit({"the": 120}, 100) == 0


def test_a_question_in_a_passages_words_finds_it_whatever_its_vector_is_near_to(room: Room) -> None:
    assert found(room, "", "wolves", "vectors")[0] == "wolves#0"
    assert found(room, "Pump stops with ERR-4711, valve sticks?", "wolves")[0] == "error#0"


def test_an_identifier_alone_finds_its_passage(room: Room) -> None:
    assert set(found(room, "ERR-4711", "dough")[:2]) == {"dough#0", "error#0"}


def test_a_question_by_meaning_keeps_the_order_of_the_vectors(room: Room) -> None:
    # It shares "when" and "sleep" with passages that do not answer it.
    question = "which animals doze all winter when temperatures fall below zero"
    assert room.search(question), "words alone find something"
    for like in TEXTS:
        assert found(room, question, like) == found(room, question, like, "vectors")

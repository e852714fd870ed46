"""The retrieval set keeps its promises: sizes, kinds, and what makes a question one of words or of meaning."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import pytest

from benchmarks.retrieval.judge import judge
from benchmarks.retrieval.questions import (
    PASSAGE_KINDS,
    QUESTION_KINDS,
    Passage,
    Question,
    passages,
    questions,
    tuning_questions,
)
from benchmarks.retrieval.words import TOKENIZER, codes, content_stems

PASSAGES = {passage.id: passage for passage in passages()}
QUESTIONS = questions()
TUNING = tuning_questions()
ASKED = (*QUESTIONS, *TUNING)


def stems(one: Passage | Question) -> frozenset[str]:
    """Its content words."""
    return content_stems(one.text, one.language)


def signs(one: Passage | Question) -> frozenset[str]:
    """What it may be known by: content words and codes."""
    return stems(one) | codes(one.text)


TEXTS_WITH = Counter(sign for passage in PASSAGES.values() for sign in signs(passage))


def of_kind(kind: str, among: Sequence[Question] = ASKED) -> list[Question]:
    return [question for question in among if question.kind == kind]


def test_three_hundred_passages_have_ids_of_their_own() -> None:
    assert len(passages()) == len(PASSAGES) == 300


@pytest.mark.parametrize("passage", PASSAGES.values(), ids=PASSAGES)
def test_a_passage_has_40_to_160_words_and_an_id_of_its_topic(passage: Passage) -> None:
    assert 40 <= len(passage.text.split()) <= 160
    assert passage.id.rpartition("-")[0] == passage.topic
    assert passage.text == passage.text.strip()


def test_every_kind_of_passage_is_there_many_times() -> None:
    kinds = Counter(passage.kind for passage in PASSAGES.values())
    assert set(kinds) == set(PASSAGE_KINDS)
    assert min(kinds.values()) >= 15


def test_some_passages_are_not_english() -> None:
    languages = Counter(passage.language for passage in PASSAGES.values())
    assert languages["de"] >= 5
    assert languages["fr"] >= 5
    assert languages["en"] >= 270


def test_topics_hold_passages_that_are_hard_to_tell_apart() -> None:
    topics = Counter(passage.topic for passage in PASSAGES.values())
    assert sum(count for count in topics.values() if count >= 4) >= 240


def test_no_passage_repeats_another() -> None:
    """Two of one topic share words; nearly all of them would mean that one is a copy with names changed."""
    for (one, its), (other, others) in combinations([(one.id, stems(one)) for one in PASSAGES.values()], 2):
        assert len(its & others) <= 0.4 * len(its | others), (one, other)


def test_eighty_questions_have_ids_and_texts_of_their_own() -> None:
    assert len(QUESTIONS) == 80
    assert len({question.id for question in ASKED}) == len({question.text for question in ASKED}) == len(ASKED)


def test_a_third_of_the_questions_is_of_each_kind() -> None:
    kinds = Counter(question.kind for question in QUESTIONS)
    assert set(kinds) == set(QUESTION_KINDS)
    assert kinds == {"words": 25, "meaning": 30, "both": 25}


def test_forty_questions_for_tuning_have_the_same_kinds() -> None:
    assert Counter(question.kind for question in TUNING) == {"words": 12, "meaning": 15, "both": 13}


@pytest.mark.parametrize("question", ASKED, ids=[question.id for question in ASKED])
def test_answers_are_passages_of_the_set_and_one_answers_fully(question: Question) -> None:
    assert set(question.answers) <= set(PASSAGES)
    assert set(question.answers.values()) <= {1, 2}
    assert 2 in question.answers.values()


def test_questions_are_about_every_kind_of_passage() -> None:
    assert {PASSAGES[id_].kind for question in QUESTIONS for id_ in question.answers} == set(PASSAGE_KINDS)


@pytest.mark.parametrize("question", of_kind("meaning"), ids=[question.id for question in of_kind("meaning")])
def test_a_question_of_meaning_shares_no_content_word_with_any_answer(question: Question) -> None:
    asked = stems(question)
    assert len(asked) >= 3
    assert {id_: asked & stems(PASSAGES[id_]) for id_ in question.answers} == dict.fromkeys(
        question.answers, frozenset()
    )


@pytest.mark.parametrize("question", of_kind("words"), ids=[question.id for question in of_kind("words")])
def test_a_question_of_words_has_a_rare_word_or_code_of_each_full_answer(question: Question) -> None:
    rare = {sign for sign in signs(question) if 1 <= TEXTS_WITH[sign] <= 3}
    for id_, grade in question.answers.items():
        assert grade < 2 or rare & signs(PASSAGES[id_]), (question.text, id_)


@pytest.mark.parametrize("question", of_kind("both"), ids=[question.id for question in of_kind("both")])
def test_a_question_of_both_shares_some_words_with_each_full_answer_and_has_others(question: Question) -> None:
    asked = stems(question)
    for id_, grade in question.answers.items():
        shared = asked & stems(PASSAGES[id_])
        assert grade < 2 or shared, (question.text, id_)
        assert shared < asked, (question.text, id_)


def test_searching_by_words_finds_what_words_can_find_and_no_more() -> None:
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE VIRTUAL TABLE passages USING fts5(id UNINDEXED, text, tokenize = '{TOKENIZER}')")
    database.executemany("INSERT INTO passages VALUES (?, ?)", [(one.id, one.text) for one in PASSAGES.values()])

    def ranking(question: Question) -> Sequence[str]:
        # In quotes each word is a phrase of the tokens that it is made of: `E-19` has to stand there as one.
        anything = " OR ".join(
            f'"{word}"' for word in question.text.replace('"', " ").split() if content_stems(word, question.language)
        )
        found = database.execute(
            "SELECT id FROM passages WHERE passages MATCH ? ORDER BY bm25(passages) LIMIT 10", (anything,)
        )
        return [id_ for (id_,) in found]

    worth = {
        kind: judge(
            {question.id: ranking(question) for question in of_kind(kind, QUESTIONS)},
            {question.id: question.answers for question in of_kind(kind, QUESTIONS)},
        ).ndcg
        for kind in QUESTION_KINDS
    }
    database.close()
    assert worth["words"] > 0.95
    assert worth["meaning"] == 0
    assert 0.7 < worth["both"] < 0.9

"""What a ranking of passages is worth against the judged answers of its question.

Knows ids and grades alone, neither texts nor what made the ranking. `answers` maps the id of each passage that answers
to its grade, a whole number above 0; passages that it does not name are worth nothing. A ranking has the best passage
first. An id that is ranked twice counts where it stands first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Means over questions, each from 0 to 1."""

    ndcg: float
    recall: float
    mrr: float
    questions: int


def ndcg(ranking: Sequence[str], answers: Mapping[str, int], *, at: int = 10) -> float:
    """Normalized discounted cumulative gain of the first `at` passages, 0 to 1.

    A passage of grade g on place p (from 1) gains (2 ** g − 1) ÷ log2(p + 1); the sum is divided by that of the best
    possible ranking (Burges et al., Learning to Rank using Gradient Descent, 2005). ValueError where nothing answers.
    """
    return _gain([answers.get(id_, 0) for id_ in _first(ranking, at)]) / _gain(
        sorted(_checked(answers).values(), reverse=True)[:at]
    )


def recall(ranking: Sequence[str], answers: Mapping[str, int], *, at: int = 10) -> float:
    """The share, 0 to 1, of the answering passages, whatever their grade, that are among the first `at`.

    ValueError where nothing answers.
    """
    return sum(id_ in answers for id_ in _first(ranking, at)) / len(_checked(answers))


def reciprocal_rank(ranking: Sequence[str], answers: Mapping[str, int]) -> float:
    """1 ÷ the place, from 1, of the first passage that answers with any grade; 0 where none does.

    ValueError where nothing answers.
    """
    _checked(answers)
    return next((1 / place for place, id_ in enumerate(dict.fromkeys(ranking), 1) if id_ in answers), 0.0)


def judge(
    rankings: Mapping[str, Sequence[str]], answers: Mapping[str, Mapping[str, int]], *, at: int = 10
) -> Judgement:
    """Means over all questions of `answers`, which maps each question's id to its answers.

    `rankings` maps each question's id to its ranking, whose first `at` passages count; KeyError where a question has
    none, so that none is left out of the mean unseen. ValueError where there is no question.
    """
    if not answers:
        raise ValueError("there are no questions to judge")
    pairs = [(rankings[question][:at], wanted) for question, wanted in answers.items()]
    return Judgement(
        ndcg=sum(ndcg(ranking, wanted, at=at) for ranking, wanted in pairs) / len(pairs),
        recall=sum(recall(ranking, wanted, at=at) for ranking, wanted in pairs) / len(pairs),
        mrr=sum(reciprocal_rank(ranking, wanted) for ranking, wanted in pairs) / len(pairs),
        questions=len(pairs),
    )


def _first(ranking: Sequence[str], count: int) -> list[str]:
    return list(dict.fromkeys(ranking))[:count]


def _gain(grades: Sequence[int]) -> float:
    return sum((2.0**grade - 1) / math.log2(place + 1) for place, grade in enumerate(grades, 1))


def _checked(answers: Mapping[str, int]) -> Mapping[str, int]:
    if not answers or min(answers.values()) < 1:
        raise ValueError(f"a question needs answers, each with a grade above 0: {dict(answers)}")
    return answers

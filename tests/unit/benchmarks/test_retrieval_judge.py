"""The worth of a ranking, against values worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.retrieval.judge import judge, ndcg, recall, reciprocal_rank


def test_ndcg_of_the_best_ranking_is_one() -> None:
    assert ndcg(["a", "b", "c"], {"a": 2, "b": 1}) == 1


def test_ndcg_weighs_grades_and_places() -> None:
    # Gains: b (2¹ − 1) ÷ log2(2) = 1, a (2² − 1) ÷ log2(4) = 1.5; at best a 3 ÷ 1 and b 1 ÷ log2(3) = 0.63093.
    assert ndcg(["b", "x", "a"], {"a": 2, "b": 1}) == pytest.approx(2.5 / 3.63093, abs=1e-5)


def test_ndcg_of_one_answer_falls_with_its_place() -> None:
    # 1 ÷ log2(place + 1): log2(3) = 1.58496, log2(4) = 2.
    assert ndcg(["x", "a"], {"a": 2}) == pytest.approx(0.63093, abs=1e-5)
    assert ndcg(["x", "y", "a"], {"a": 1}) == pytest.approx(0.5)


def test_what_stands_behind_the_cut_is_worth_nothing() -> None:
    ranking = ["x", "y", "a"]
    assert ndcg(ranking, {"a": 2}, at=2) == 0
    assert recall(ranking, {"a": 2}, at=2) == 0
    assert ndcg([str(place) for place in range(10)] + ["a"], {"a": 2}) == 0


def test_ndcg_divides_by_the_best_that_fits_before_the_cut() -> None:
    assert ndcg(["a", "b"], {"a": 1, "b": 1, "c": 1}, at=2) == 1


def test_recall_is_the_share_of_answers_found_whatever_their_grade() -> None:
    assert recall(["x", "b", "y", "a"], {"a": 2, "b": 1, "c": 1, "d": 2}) == 0.5
    assert recall(["a"], {"a": 1}) == 1
    assert recall([], {"a": 1}) == 0


def test_reciprocal_rank_looks_at_the_first_answer_alone() -> None:
    assert reciprocal_rank(["x", "y", "b", "a"], {"a": 2, "b": 1}) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "y"], {"a": 2}) == 0


def test_a_passage_ranked_twice_counts_once() -> None:
    assert ndcg(["a", "a", "b"], {"a": 1, "b": 1}) == 1
    assert recall(["a", "a", "b"], {"a": 1, "b": 1}, at=2) == 1
    assert reciprocal_rank(["x", "x", "a"], {"a": 1}) == 0.5


def test_judging_takes_means_over_all_questions() -> None:
    found = judge({"p": ["a"], "q": ["x", "b"], "r": []}, {"p": {"a": 2}, "q": {"b": 1, "c": 1}, "r": {"d": 2}})
    # q: (1 ÷ log2(3)) ÷ (1 + 1 ÷ log2(3)) = 0.63093 ÷ 1.63093 = 0.38685.
    assert found.ndcg == pytest.approx((1 + 0.38685 + 0) / 3, abs=1e-5)
    assert found.recall == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.mrr == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.questions == 3


def test_all_three_figures_look_no_further_than_the_cut() -> None:
    found = judge({"q": ["x", "y", "a"]}, {"q": {"a": 2}}, at=2)
    assert (found.ndcg, found.recall, found.mrr) == (0, 0, 0)


def test_a_question_without_a_ranking_is_not_left_out_unseen() -> None:
    with pytest.raises(KeyError, match="q"):
        judge({}, {"q": {"a": 2}})


def test_questions_without_answers_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="needs answers"):
        ndcg(["a"], {})
    with pytest.raises(ValueError, match="grade above 0"):
        recall(["a"], {"a": 0})
    with pytest.raises(ValueError, match="no questions"):
        judge({}, {})

"""What `model ps` says below its table."""

from __future__ import annotations

from llmspell_cli.commands.model.ps import remarks


def test_a_model_that_drafts_says_how_many_tokens_were_accepted() -> None:
    model = {"reason": "idle", "draft_tokens": 30, "accepted_tokens": 28}
    assert remarks(model) == ["idle", "28 of 30 drafted tokens accepted"]


def test_one_that_has_drafted_nothing_says_nothing_of_drafts() -> None:
    assert remarks({"reason": "", "draft_tokens": 0, "accepted_tokens": 0}) == []
    assert remarks({"reason": "pinned", "draft_tokens": None, "accepted_tokens": None}) == ["pinned"]

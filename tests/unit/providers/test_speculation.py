"""Whether a model speculates, and how long its drafts may be."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_providers.candle.speculation import DRAFT_TOKENS, drafts


def test_auto_drafts_where_the_engine_can() -> None:
    found = drafts("auto", slots=4, batch_size=256)
    assert found == drafts("ngram", slots=4, batch_size=256)
    assert found is not None
    assert found.tokens == DRAFT_TOKENS
    assert drafts("auto", slots=4, batch_size=256, why_not="it is a stone") is None


def test_off_is_off() -> None:
    assert drafts("off", slots=4, batch_size=256) is None
    assert drafts("off", slots=4, batch_size=256, why_not="it is a stone") is None


@pytest.mark.parametrize(("slots", "batch_size"), [(1, 8), (4, 32), (16, 128), (64, 1024)])
def test_the_drafts_of_all_slots_and_the_tokens_before_them_fit_into_a_batch(slots: int, batch_size: int) -> None:
    found = drafts("auto", slots=slots, batch_size=batch_size)
    assert found is not None
    assert slots * (1 + found.tokens) <= batch_size


def test_where_a_batch_has_no_room_there_are_no_drafts() -> None:
    assert drafts("auto", slots=64, batch_size=256) is None
    with pytest.raises(Unsupported, match="64 slots leave 3 tokens of a batch of 256 for the draft of each"):
        drafts("ngram", slots=64, batch_size=256)


def test_drafts_asked_for_by_name_are_refused_with_the_reason() -> None:
    with pytest.raises(Unsupported, match='speculation = "ngram" cannot be had: it is a stone') as caught:
        drafts("ngram", slots=4, batch_size=256, why_not="it is a stone")
    assert caught.value.details == {"operation": "speculation", "key": "providers.candle.speculation"}

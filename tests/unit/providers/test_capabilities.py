"""Declarations of what backends do: complete, generated into the guide, and what requests are refused by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generate.capabilities import BACKENDS, FILES
from llmspell_protocol.abilities import OPTIONS, WORDS
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest, SamplingOptions
from llmspell_providers.candle.capabilities import CAPABILITIES, LACKS
from llmspell_providers.candle.engine import ABILITIES
from llmspell_providers.capabilities import Capabilities, declare
from llmspell_providers.remote.vendors import VENDORS
from tests.conformance.proofs import PROOFS

NOTHING = declare(
    options=(),
    lacks=dict.fromkeys(("raw", "tools", "images", "schema", "device", "speculation", "embed"), "it is a stone"),
)
REQUEST = ChatRequest(model="m", messages=(ChatMessage(role="user", content="Hello?"),))


def test_the_page_is_up_to_date() -> None:
    assert list(FILES.drift()) == []


def test_a_page_that_differs_is_noticed(tmp_path: Path) -> None:
    FILES.write(tmp_path)
    assert list(FILES.drift(tmp_path)) == []
    (tmp_path / "capabilities.md").write_text("x")
    assert list(FILES.drift(tmp_path)) == ["capabilities.md is out of date"]


def test_every_word_is_tried_over_every_backend() -> None:
    assert set(PROOFS) == set(WORDS)


@pytest.mark.parametrize(
    "declared", [*BACKENDS.values(), *(vendor.capabilities for vendor in VENDORS.values())], ids=lambda _: ""
)
def test_a_declaration_names_known_words_and_says_why(declared: Capabilities) -> None:
    assert set(declared.lacks) <= set(WORDS)
    assert all(declared.lacks.values())


def test_engines_lack_known_abilities() -> None:
    assert all(lacks <= set(ABILITIES) for lacks in LACKS.values())


@pytest.mark.parametrize(
    ("word", "asked"),
    [
        ("raw", replace(REQUEST, messages=(), prompt="x", raw=True)),
        ("tools", replace(REQUEST, tools=({"name": "t"},), tool_choice="required")),
        ("images", replace(REQUEST, messages=(ChatMessage(role="user", images=(b"x",)),))),
        ("schema", replace(REQUEST, schema={})),
        ("device", replace(REQUEST, device="cuda")),
        ("speculation", replace(REQUEST, speculation="ngram")),
        ("speculation", replace(REQUEST, speculation="off")),
        ("num_beams", replace(REQUEST, options=SamplingOptions(num_beams=2))),
        ("stop", replace(REQUEST, options=SamplingOptions(stop=("x",)))),
    ],
)
def test_a_request_is_refused_by_the_word_for_what_it_asks(word: str, asked: ChatRequest) -> None:
    with pytest.raises(Unsupported, match=f"box can't do '{word}'") as caught:
        NOTHING.demand_for(asked, "box")
    assert caught.value.details == {"operation": word, "backend": "box"}


def test_what_asks_for_nothing_special_is_never_refused() -> None:
    plain = SamplingOptions(num_beams=1, stop=())
    NOTHING.demand_for(replace(REQUEST, device="auto", speculation="auto", options=plain, truncate=True), "box")


def test_an_option_belongs_to_no_backend_until_one_declares_it() -> None:
    assert set(OPTIONS) <= set(NOTHING.lacks)
    assert NOTHING.supports == {word: word not in NOTHING.lacks for word in WORDS}
    assert {NOTHING.lacks["tool_choice"], NOTHING.lacks["plain_vectors"]} == {"it is a stone"}


def test_not_to_draft_is_what_an_engine_without_drafts_does_anyway() -> None:
    never = declare(options=(), lacks={"speculation": "it has none"}, never_drafts=True)
    never.demand_for(replace(REQUEST, speculation="off"), "box")
    with pytest.raises(Unsupported) as caught:
        never.demand_for(replace(REQUEST, speculation="ngram"), "box")
    assert caught.value.details["operation"] == "speculation"
    assert {engine for engine, declared in CAPABILITIES.items() if declared.never_drafts} == {
        engine for engine, lacks in LACKS.items() if "speculation" in lacks
    }


def test_a_model_without_an_ability_is_told_as_what_it_is_refused_for() -> None:
    everything = declare(options=OPTIONS, lacks={})
    plain = everything.supports_with(("chat",))
    assert {word for word in WORDS if not plain[word]} == {"tools", "tool_choice", "think", "rerank"}
    assert all(everything.supports_with(("chat", "tools", "thinking", "rerank", "embed")).values())
    scores = everything.supports_with(("rerank",))
    assert (scores["rerank"], scores["embed"], scores["plain_vectors"], scores["chat"]) == (True, False, False, False)
    # Nobody knows: it is tried.
    assert all(everything.supports_with(()).values())
    vectors = everything.supports_with(("embed",))
    assert (vectors["embed"], vectors["chat"], vectors["schema"]) == (True, False, False)

"""Which slot of an engine a conversation gets."""

from __future__ import annotations

from typing import Any

from llmspell_providers.candle.slots import Place, SlotTable, Talk

SYSTEM = {"role": "system", "content": "You are terse. " * 20}


def talk(*contents: str, system: bool = True) -> Talk:
    roles = ("user", "assistant")
    messages: list[dict[str, Any]] = [
        {"role": roles[at % 2], "content": content} for at, content in enumerate(contents)
    ]
    return Talk.of({"messages": [SYSTEM, *messages] if system else messages})


def place_of(table: SlotTable, asked: Talk) -> Place:
    place = table.take(asked)
    assert place is not None
    return place


def answer(table: SlotTable, *contents: str, tokens: int = 100) -> int:
    """One whole turn: takes a slot for the conversation, answers "yes", gives the slot back; the slot's number."""
    asked = talk(*contents)
    place = place_of(table, asked)
    table.give_back(place.slot, asked.answered("yes"), tokens)
    return place.slot.number


def test_a_conversation_comes_back_to_its_slot() -> None:
    table = SlotTable(4, keeps_evicted=False)
    first = answer(table, "hello")
    answer(table, "something else")
    assert answer(table, "hello", "yes", "and then?") == first


def test_what_the_slot_holds_of_the_conversation_is_known() -> None:
    table = SlotTable(2, keeps_evicted=False)
    answer(table, "hello", tokens=120)
    assert place_of(table, talk("hello", "yes", "and then?")).known_tokens == 120
    assert place_of(table, talk("something else")).known_tokens == 0


def test_a_regenerated_answer_keeps_the_part_before_it() -> None:
    table = SlotTable(2, keeps_evicted=False)
    slot = answer(table, "hello", tokens=100)
    place = place_of(table, talk("hello"))
    assert place.slot.number == slot
    assert 0 < place.known_tokens < 100


def test_the_same_system_prompt_alone_does_not_push_a_conversation_out() -> None:
    table = SlotTable(4, keeps_evicted=False)
    assert len({answer(table, word) for word in ("cats", "dogs", "birds", "fish")}) == 4


def test_another_system_prompt_or_other_tools_are_another_conversation() -> None:
    table = SlotTable(2, keeps_evicted=False)
    first = answer(table, "hello")
    assert place_of(table, talk("hello", "yes", "more", system=False)).slot.number != first


def test_the_least_recently_used_conversation_loses_its_slot() -> None:
    table = SlotTable(2, keeps_evicted=False)
    first, _second = answer(table, "cats"), answer(table, "dogs")
    assert answer(table, "birds") == first


def test_a_busy_slot_is_not_given_away() -> None:
    table = SlotTable(2, keeps_evicted=False)
    taken = place_of(table, talk("hello"))
    other = place_of(table, talk("hello"))
    assert other.slot.number != taken.slot.number
    assert table.take(talk("hello")) is None


def test_with_a_prompt_cache_the_engine_moves_the_old_conversation_and_finds_it_again() -> None:
    table = SlotTable(1, keeps_evicted=True)
    answer(table, "cats", tokens=70)
    place = place_of(table, talk("dogs"))
    assert (place.saves, place.known_tokens) == (True, 0)
    table.give_back(place.slot, talk("dogs"), 50)
    back = place_of(table, talk("cats", "yes", "more"))
    assert (back.saves, back.known_tokens) == (True, 70)


def test_a_slot_that_an_embedding_used_holds_no_conversation() -> None:
    table = SlotTable(2, keeps_evicted=False)
    answer(table, "cats")
    answer(table, "dogs")
    table.overwrite(1)
    assert place_of(table, talk("cats", "yes", "more")).known_tokens == 0
    assert place_of(table, talk("dogs", "yes", "more")).known_tokens == 100


def test_raw_prompts_are_compared_line_by_line() -> None:
    table = SlotTable(2, keeps_evicted=False)
    prompt = Talk.of({"prompt": "Once upon a time\nthere was"})
    place = place_of(table, prompt)
    table.give_back(place.slot, prompt, 10)
    assert place_of(table, Talk.of({"prompt": "Once upon a time\nthere will be"})).slot is place.slot

"""Stop strings in a stream that comes in pieces of any size."""

from __future__ import annotations

import pytest

from llmspell_providers.candle.stops import StopFilter

TEXT = "one two thREE. Three is the stop."


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_nothing_of_the_stop_string_or_after_it_is_shown(size: int) -> None:
    stops = StopFilter(["Three", "never"])
    shown = "".join(stops.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size))
    assert shown == "one two thREE. "
    assert stops.stopped
    assert stops.rest() == ""


@pytest.mark.parametrize("size", [1, 4])
def test_a_beginning_that_does_not_go_on_is_shown_after_all(size: int) -> None:
    stops = StopFilter(["Thread"])
    shown = "".join(stops.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size))
    assert shown + stops.rest() == TEXT
    assert not stops.stopped


def test_what_may_still_become_a_stop_string_is_held_back() -> None:
    stops = StopFilter(["\n\nUser:"])
    assert stops.feed("Hello.\n\nUs") == "Hello."
    assert stops.feed("age: none") == "\n\nUsage: none"


def test_the_first_of_several_stop_strings_counts() -> None:
    assert StopFilter(["b", "a"]).feed("xxabxx") == "xx"


def test_without_stop_strings_everything_goes_through_at_once() -> None:
    stops = StopFilter(["", ""])
    assert stops.feed("abc") == "abc"
    assert stops.rest() == ""

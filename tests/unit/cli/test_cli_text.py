"""Numbers and rows as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_cli.terminal import text


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (98_362_432, "98.4 MB"),
        (212_000_000, "212 MB"),
        (6_100_000_000, "6.1 GB"),
        (999_600, "1.0 MB"),
    ],
)
def test_sizes_are_decimal_with_one_digit_below_a_hundred(count: int | None, shown: str) -> None:
    assert text.size(count) == shown


def test_a_catalog_rounds_sizes_from_ten_units_on() -> None:
    assert text.size(98_362_432, decimals_below=10) == "98 MB"
    assert text.size(4_900_000_000, decimals_below=10) == "4.9 GB"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(4, "4s"), (59.6, "1m 0s"), (271.6, "4m 32s"), (8100, "2h 15m"), (273_600, "3d 4h"), (-1, "0s")],
)
def test_durations_have_two_units_at_most(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_columns_are_as_wide_as_their_longest_cell_and_lines_end_with_their_last() -> None:
    assert text.columns([("NAME", "SIZE"), ("smollm2:135m", "98"), ("x", "")]) == [
        "NAME          SIZE",
        "smollm2:135m  98",
        "x",
    ]


def test_a_path_below_the_home_is_shown_with_a_tilde() -> None:
    assert text.home_path(str(Path.home() / "a")) == "~/a"
    assert text.home_path(str(Path.home()) + "-other") == str(Path.home()) + "-other"


ROWS = [
    ("NAME", "BACKEND", "FORMAT", "SIZE"),
    ("smollm2:135m", "candle", "gguf", "98.4 MB"),
    ("x", "ollama", "-", "4.9 GB"),
]


def test_columns_that_have_no_room_go_below_aligned_too() -> None:
    assert text.bands(ROWS, 24) == [
        "NAME          BACKEND",
        "  FORMAT  SIZE",
        "smollm2:135m  candle",
        "  gguf    98.4 MB",
        "x             ollama",
        "  -       4.9 GB",
    ]


def test_a_cell_wider_than_everything_is_broken_between_words() -> None:
    assert text.bands([("a", "one two three"), ("b", "")], 9) == ["a", "  one two", "  three", "b"]


def test_a_value_goes_on_below_itself_and_a_path_stays_whole() -> None:
    assert text.properties([("Name", "x"), ("Long", "some words more")], width=16) == [
        "Name:  x",
        "Long:  some",
        "       words",
        "       more",
    ]
    assert text.properties([("Path", "/a/very/long/path/indeed")], width=10) == ["Path:  /a/very/long/path/indeed"]


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("start one: llmspell kernel start", ["start one:", "llmspell kernel start"]),
        ("llmspell model list, or another", ["llmspell model list, or", "another"]),
        ("llmspell doctor --fix x moves it away", ["llmspell doctor --fix x", "moves it away"]),
        ("llmspell chat m 'what is it that you want'", ["llmspell chat m 'what is it that you want'"]),
        ("模型你好世界模型你好世界模，模型你好", ["模型你好世界模型你好世界", "模，模型你好"]),
        ("  - words that go on below", ["  - words that go on", "  below"]),
        ("/a/path/that/is/longer/than/a/line it is", ["/a/path/that/is/longer/than/a/line", "it is"]),
    ],
)
def test_lines_are_broken_between_words_and_commands_stay_whole(said: str, lines: list[str]) -> None:
    assert text.wrapped(said, 24) == lines


def test_columns_are_those_of_a_terminal() -> None:
    assert text.columns([["模型", "x"], ["model", "y"]]) == ["模型   x", "model  y"]
    assert text.definitions([("a", "one two three"), ("模型", "x")], width=14) == [
        "a     one two",
        "      three",
        "模型  x",
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("short", "short"),
        ("exactly10!", "exactly10!"),
        ("longer than ten", "longer th…"),
        ("ends in  a blank", "ends in…"),
        ("東京都庁に行く", "東京都庁…"),
        ("a👩‍👩‍👧b" * 4, "a👩‍👩‍👧ba👩‍👩‍👧ba…"),
    ],
)
def test_the_beginning_of_a_text_takes_no_more_columns(said: str, shown: str) -> None:
    assert text.beginning(said, 10) == shown

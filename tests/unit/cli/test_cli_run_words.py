"""Which words behind `run` are ours and which the script's."""

from __future__ import annotations

from typing import Any

import click
import pytest

from llmspell_cli.commands.run import run
from llmspell_cli.invocation import Collected


def divided(*words: str) -> tuple[Collected, dict[str, Any]]:
    said = Collected(list(words), {})
    with run.make_context("run", list(words), obj=said) as ctx:
        return said, ctx.params


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("s.lua", "--", "--name", "world"), ["--name", "world"]),
        (("s.lua", "-np", "5", "--misspelt"), ["-np", "5", "--misspelt"]),
        (("s.lua", "a", "--json", "b"), ["a", "b"]),
        (("s.lua", "a", "--", "--json"), ["a", "--json"]),
        (("s.lua", "--json=x", "-pcandle"), ["--json=x", "-pcandle"]),
        (("--", "s.lua", "--json", "-p", "x"), ["--json", "-p", "x"]),
        (("--engine", "lua", "s.lua", "--engine", "x"), ["--engine", "x"]),
        (("-", "x"), ["x"]),
        (("s.lua", "--help"), ["--help"]),
        (("s.lua", "--", "--"), ["--"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_the_scripts_words_reach_it_untouched(words: tuple[str, ...], arguments: list[str]) -> None:
    assert divided(*words)[1]["arguments"] == arguments


def test_whole_words_of_ours_count_behind_the_script_too() -> None:
    said, params = divided(
        "s.lua", "-p", "candle", "x", "--connect", "auto", "--timeout", "5", "--stream", "--trace", "info"
    )
    options = said.options()
    assert (options.profile, options.connect, options.trace) == ("candle", "auto", "info")
    assert (params["timeout_s"], params["stream"], params["arguments"]) == (5.0, True, ["x"])


def test_a_profile_before_the_script_is_not_its_name() -> None:
    said, params = divided("-p", "candle", "--timeout", "3", "s.lua")
    assert (said.options().profile, params["script"], params["timeout_s"]) == ("candle", "s.lua", 3.0)


def test_a_misspelt_option_before_the_script_is_an_error() -> None:
    with pytest.raises(click.NoSuchOption):
        divided("--sream", "s.lua")

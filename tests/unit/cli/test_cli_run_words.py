"""Which words behind `run` are ours and which the script's."""

from __future__ import annotations

from typing import Any

import click
import pytest

from llmspell_cli.commands.run import run
from llmspell_cli.invocation import Collected
from llmspell_protocol.errors import InvalidRequest


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
        (("s.lua", "--", "--allow-read=out"), ["--allow-read=out"]),
        (("s.lua", "--allow-overwrite"), ["--allow-overwrite"]),
        (("--", "s.lua", "--allow-read"), ["--allow-read"]),
        (("--allow-read", "s.lua", "x.lua"), ["x.lua"]),
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


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--allow-read", "/etc", "s.lua"), "did you mean --allow-read=/etc?"),
        (("--allow-read", "/etc"), "did you mean --allow-read=/etc?"),
        (("--allow-write", "new/out.txt", "s.lua"), "did you mean --allow-write=new/out.txt?"),
        (("--allow-run", "git", "s.lua"), "did you mean --allow-run=git?"),
        (("s.lua", "--allow-read=/etc"), "llmspell run --allow-read=/etc s.lua, or -- before the script's own words"),
        (("s.lua", "x", "--allow-all"), "llmspell run --allow-all s.lua, or -- before the script's own words"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_a_permission_in_the_wrong_place_is_an_error_that_says_the_right_one(words: tuple[str, ...], hint: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        divided(*words)
    assert refused.value.hint == hint

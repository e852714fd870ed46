"""The scripts of the page about agents, with a model that calls the tools that it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reader import Reader, reader
from tests.support.snippets import ROOT, snippets

SCRIPTS = {one.title: one for one in snippets(ROOT / "docs" / "guide" / "agents.md") if one.title}
SAID = {
    "sum.lua": ('call calculator {"input": "2 + 3"}', "calculator\t2 + 3\t5\n[mock/m] 5\n"),
    "weather.lua": (
        'call weather {"town": "Oslo"}',
        'started\tweather\tOslo\nended\tweather\tOslo\n[mock/m] {"sky": "clear over Oslo"}',
    ),
    "team.lua": ("", "[mock/m] [mock/m] A poem.\n[mock/m] A poem.\n"),
}
"""What is said to each script that asks a model, and what it prints."""


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory, models: Path, neighbour: Reader) -> Iterator[Reader]:
    with reader(tmp_path_factory.mktemp("agents"), models) as one:
        one.joins(neighbour)
        yield one


def test_the_scripts_that_ask_a_model_are_tried_here() -> None:
    assert {name for name, one in SCRIPTS.items() if "ARGS.model" in one.text} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_a_script_of_the_page_does_what_the_page_says(typist: Reader, name: str) -> None:
    said, printed = SAID[name]
    typist.follows(SCRIPTS[name])
    done = typist.runs(f"llmspell run {name} -- --model mock/m '{said}'")
    assert (done.status, done.out) == (0, printed)

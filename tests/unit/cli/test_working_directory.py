"""Commands in a directory that has been removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_cli.invocation import working_directory
from llmspell_protocol.errors import ConfigError


@pytest.fixture(autouse=True)
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()


def test_it_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="the working directory is not there any more") as caught:
        working_directory()
    assert caught.value.hint == "cd to a directory that is"

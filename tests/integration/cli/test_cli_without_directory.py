"""A working directory that was deleted meanwhile: a command works without it, or says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmspell_protocol.errors import ConfigError
from llmspell_protocol.working_directory import working_directory
from tests.support.command_cases import CASES, command_of, words_of
from tests.support.odd_streams import run

IN_A_DELETED_DIRECTORY = (
    sys.executable,
    "-P",  # as the installed command: '' in sys.path would be the directory that is gone
    "-c",
    "import os, tempfile\nos.chdir(place := tempfile.mkdtemp())\nos.rmdir(place)\n"
    "from llmspell_cli.main import main\nmain()",
)
HINT = "change to a directory that exists (cd)"
ONE_OF_EACH = {" ".join(command_of(one)): name for name, one in reversed(CASES.items()) if "json" not in name}


@pytest.mark.parametrize("name", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_command_in_a_deleted_directory_works_or_says_what_to_do(name: str, case_directory: Path) -> None:
    case = CASES[name]
    done = run(words_of(case, case_directory), stdin=case.stdin, command=IN_A_DELETED_DIRECTORY)

    for defect in ("defect of llmspell", "Traceback", "FileNotFoundError", "internal error", "Error: No such file"):
        assert defect not in done.err
    if "Error: the working directory" in done.err:
        assert (done.status, HINT in done.err) == (2, True), done.err


def test_a_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    assert working_directory() == str(place)

    place.rmdir()
    with pytest.raises(ConfigError, match="working directory can't be found: No such file"):
        working_directory()

"""Users without a home directory, or with one that can't be used: a command works without it, or says what to set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.command_cases import CASES, Case, command_of, words_of
from tests.support.command_line import Done, llmspell
from tests.support.odd_streams import run

UNKNOWN_USER = "import pwd\ndef unknown(_): raise KeyError\npwd.getpwuid = unknown"
"""Makes a command that of a user whom the system's list doesn't name, as in containers."""
HINT = "set HOME or LLMSPELL_HOME"
ONE_OF_EACH = {" ".join(command_of(one)): name for name, one in reversed(CASES.items()) if "json" not in name}


def without_home(case: Case, directory: Path, home: str) -> Done:
    """Runs a case with this HOME ("": none) and no LLMSPELL_HOME."""
    return run(words_of(case, directory), stdin=case.stdin, env={"HOME": home}, before=UNKNOWN_USER)


@pytest.mark.parametrize("name", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_command_without_a_home_says_what_to_set(
    name: str, case_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LLMSPELL_HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "JUPYTER_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    before = set(os.listdir(case_directory))
    told = []
    for home, says in (
        ("", f"the user with the id {os.getuid()} has no home directory"),
        ("relative/home", "HOME is 'relative/home', which is not an absolute path"),
        (f"{case_directory}/caf\udce9", "which is not UTF-8 text"),
    ):
        done = without_home(CASES[name], case_directory, home)
        told.append(HINT in done.err)
        if told[-1]:
            assert (done.status, says in done.err) == (2, True), done.err
        _no_defect(done)
    assert told in ([True] * 3, [False] * 3)
    new = set(os.listdir(case_directory)) - before
    assert not {"~", "relative", "caf\udce9"} & new


@pytest.mark.parametrize("name", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_home_that_is_a_file_is_told_by_its_name(
    name: str, case_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLMSPELL_HOME")
    (case_directory / "file").touch()
    done = without_home(CASES[name], case_directory, str(case_directory / "file"))
    _no_defect(done)
    if "file/.llmspell" in done.err:
        assert done.status in (1, 2, 3, 4), done.err


def _no_defect(done: Done) -> None:
    for word in ("defect", "Traceback", "internal", "RuntimeError"):
        assert word not in done.err, done.err


TILDES = {
    "connect": ["--connect", "~nosuch/x", "model", "list"],
    "chat schema": ["chat", "mock/a", "--message", "x", "--schema", "~nosuch/x.json"],
    "repl history": ["repl", "--history", "~nosuch/x"],
    "repl cd": ["repl"],
}


@pytest.mark.parametrize("words", TILDES.values(), ids=TILDES)
def test_the_home_of_a_user_that_there_is_not_is_told(words: list[str], home: Path) -> None:
    done = llmspell(*words, stdin=".cd ~nosuch/x\n.ls ~nosuch\n.run ~nosuch/x\n.load ~nosuch/x\n.save ~nosuch/x\n")
    errors = [line for line in done.err.split("\n") if line.startswith("Error: ")]
    assert errors
    assert all("there is no user 'nosuch'" in line for line in errors)
    assert not [name for name in os.listdir() if name.startswith("~")]


def test_a_variable_that_names_such_a_home_is_told(home: Path) -> None:
    done = llmspell("model", "list", env={"LLMSPELL_HOME": "~nosuch/x"})
    assert (done.status, done.err.split("\n")[0]) == (2, "Error: LLMSPELL_HOME: ~nosuch/x: there is no user 'nosuch'")


def test_a_setting_below_the_home_of_such_a_user_is_told_with_its_place(home: Path) -> None:
    Path("llmspell.toml").write_text('[providers.candle]\nmodel_directory = "~nosuch/models"\n')
    told = "llmspell.toml:2 providers.candle.model_directory: '~nosuch/models': there is no user 'nosuch'"
    assert told in llmspell("config", "validate").out
    assert told in llmspell("model", "list").err


def test_a_named_home_is_enough_for_a_user_without_one(home: Path) -> None:
    env = {"HOME": "", "LLMSPELL_HOME": str(home)}
    for words in (
        ["exec", "return 1"],
        ["doctor", "--offline"],
        ["config", "validate"],
        ["-p", "rag-prod", "model", "list"],
    ):
        done = run(words, env=env, before=UNKNOWN_USER)
        assert (done.status, "Error" in done.err) == (0, False), done.err
    Path("llmspell.toml").write_text('[providers.candle]\nmodel_directory = "~/models"\n')
    done = run(["model", "list"], env=env, before=UNKNOWN_USER)
    assert "'~/models' begins with the home directory, and this user has none" in done.err

"""`config trust`: what a project's file would do is shown before it may, and nothing of it happens before that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, llmspell


@pytest.fixture
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that was cloned; the user stands in it, and the server that its file names leaves a mark."""
    directory = tmp_path / "cloned"
    directory.mkdir()
    (directory / "llmspell.toml").write_text(
        f'[mcp.servers.helper]\ncommand = "touch"\nargs = ["{directory}/started"]\nenv = {{ TOKEN = "s3cret" }}\n'
    )
    monkeypatch.chdir(directory)
    return directory


def test_nothing_of_a_cloned_file_starts_before_a_person_has_said_yes(project: Path) -> None:
    for words in (("tool", "list"), ("model", "status"), ("chat", "hello"), ("kernel", "start", "--port", "0")):
        done = llmspell(*words)
        assert done.status == 2, done
        assert "llmspell.toml of this directory is not trusted: it sets mcp.servers.helper.command" in done.err
        assert "llmspell config trust" in done.err
    assert not (project / "started").exists()
    assert llmspell("config", "trust", "--yes").status == 0
    assert "helper" in llmspell("tool", "list").err
    assert (project / "started").exists()


def test_the_question_shows_what_the_file_sets_and_no_is_no(project: Path) -> None:
    terminal = AtTerminal(["config", "trust"], columns=300)
    terminal.wait_for(f'mcp.servers.helper.args = ["{project}/started"]')
    terminal.wait_for("Trust it? [y/N]:")
    terminal.type("n\n")
    terminal.wait_for("Cancelled")
    assert (terminal.end(), "s3cret" in terminal.said) == (0, False)
    assert llmspell("tool", "list").status == 2


def test_json_shows_no_secret_asks_nothing_and_takes_back(project: Path) -> None:
    asked = llmspell("config", "trust", "--json")
    assert (asked.status, asked.out) == (2, "")
    done = llmspell("config", "trust", "--json", "--yes")
    told = json.loads(done.out)
    assert (told["trusted"], told["file"]) == (True, str(project / "llmspell.toml"))
    assert told["values"]["mcp.servers.helper.command"] == "touch"
    assert "s3cret" not in done.out
    assert json.loads(llmspell("config", "trust", "--revoke", "--json").out)["trusted"] is False
    assert llmspell("tool", "list").status == 2


def test_a_project_s_file_leads_commands_to_no_other_kernel(project: Path) -> None:
    (project / "llmspell.toml").write_text('[cli]\nconnect = "kernel.json"\n')
    (project / "kernel.json").write_text("{}")
    done = llmspell("model", "status")
    assert (done.status, "it sets cli.connect" in done.err) == (2, True)


def test_doctor_says_it_and_the_file_can_still_be_looked_at(project: Path) -> None:
    assert "is not trusted" in llmspell("doctor", "--offline").out
    validated = llmspell("config", "validate").out
    assert "✓ Valid" in validated
    assert "llmspell.toml of this directory is not trusted" in validated
    llmspell("-c", "llmspell.toml", "config", "set", "models.max_queue", "3")
    assert llmspell("model", "status").status == 2


def test_without_a_file_there_is_nothing_to_trust(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = llmspell("config", "trust")
    assert (done.status, "there is no configuration file here" in done.err) == (3, True)

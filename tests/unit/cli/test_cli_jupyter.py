"""The kernelspec that `jupyter install` writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.command_line import call


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return tmp_path / "jupyter" / "kernels"


def test_install_writes_what_jupyter_reads(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "jupyter", "install", "--json")
    assert done.document == {
        "status": "installed",
        "name": "llmspell",
        "path": str(kernels / "llmspell"),
        "argv": [sys.executable, "-m", "llmspell_kernel", "-f", "{connection_file}"],
    }
    spec = json.loads((kernels / "llmspell" / "kernel.json").read_text())
    assert (spec["display_name"], spec["language"], spec["interrupt_mode"]) == ("LLMSpell (Lua)", "lua", "message")
    assert [path.name for path in (kernels / "llmspell").iterdir()] == ["kernel.json"]


def test_a_profile_and_a_name_become_part_of_the_kernelspec(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "-p", "candle", "jupyter", "install", "--name", "spell", "--display-name", "Spells")
    spec = json.loads((kernels / "spell" / "kernel.json").read_text())
    assert spec["argv"][-2:] == ["--profile", "candle"]
    assert spec["display_name"] == "Spells"


def test_a_configuration_file_is_named_by_its_whole_path(
    kernels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call(capsys, "-c", "my.toml", "jupyter", "install")
    spec = json.loads((kernels / "llmspell" / "kernel.json").read_text())
    assert spec["argv"][-2:] == ["--config", str(tmp_path / "my.toml")]


def test_remove_takes_it_away_and_a_second_time_is_not_found(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "jupyter", "install")
    assert call(capsys, "jupyter", "remove", "--yes").out == "✓ Removed kernelspec llmspell\n"
    assert not (kernels / "llmspell").exists()
    done = call(capsys, "jupyter", "remove", "--yes")
    assert done.status == 3
    assert done.err.startswith("Error: there is no kernelspec 'llmspell'\n")


def test_in_json_mode_remove_needs_a_yes(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "jupyter", "install")
    done = call(capsys, "jupyter", "remove", "--json")
    assert (done.status, done.error["code"]) == (2, "invalid_request")
    assert (kernels / "llmspell").exists()


def test_a_prefix_is_a_place_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "env"))
    assert done.status == 0
    assert (tmp_path / "env" / "share" / "jupyter" / "kernels" / "llmspell" / "kernel.json").exists()
    removed = call(capsys, "jupyter", "remove", "--prefix", str(tmp_path / "env"), "--yes")
    assert (removed.status, removed.out) == (0, "✓ Removed kernelspec llmspell\n")
    assert not (tmp_path / "env/share/jupyter/kernels/llmspell").exists()

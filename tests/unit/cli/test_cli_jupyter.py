"""The kernelspec that `jupyter install` writes."""

from __future__ import annotations

import io
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
        "kind": "shared",
        "argv": [sys.executable, "-m", "llmspell_cli.notebook_door", "-f", "{connection_file}"],
        "env": {},
        "jupyter": done.document["jupyter"],
        "found": True,
    }
    spec = json.loads((kernels / "llmspell" / "kernel.json").read_text())
    assert (spec["display_name"], spec["language"], spec["interrupt_mode"]) == ("LLMSpell (Lua)", "lua", "message")
    assert spec["metadata"] == {"debugger": True}
    assert "env" not in spec
    assert sorted(path.name for path in (kernels / "llmspell").iterdir()) == [
        "kernel.json",
        "logo-32x32.png",
        "logo-64x64.png",
        "logo-svg.svg",
    ]


def test_own_installs_the_kind_that_starts_a_kernel_a_notebook(
    kernels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "jupyter", "install", "--own", "--json")
    assert (done.document["kind"], done.document["argv"][1:3]) == ("own", ["-m", "llmspell_kernel"])
    assert "have a kernel each" in call(capsys, "jupyter", "install", "--own").out
    assert "share the running kernel" in call(capsys, "jupyter", "install").out


def test_variables_become_part_of_the_kernelspec(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "jupyter", "install", "--env", "LLMSPELL_HOME=/data/a=b", "--env", "EMPTY=", "--json")
    assert done.document["env"] == {"LLMSPELL_HOME": "/data/a=b", "EMPTY": ""}
    spec = json.loads((kernels / "llmspell" / "kernel.json").read_text())
    assert spec["env"] == done.document["env"]
    for wrong in ("NAME", "=x", "A B=1"):
        refused = call(capsys, "jupyter", "install", "--env", wrong)
        assert (refused.status, refused.err.splitlines()[0]) == (2, f"Error: --env {wrong}: write NAME=VALUE")


def test_list_shows_ours_and_whether_they_work(
    kernels: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prefix = str(tmp_path / "env")
    assert call(capsys, "jupyter", "list", "--prefix", prefix).out == "No kernelspecs of llmspell found\n"
    call(capsys, "jupyter", "install", "--prefix", prefix)
    call(capsys, "-p", "candle", "jupyter", "install", "--prefix", prefix, "--own", "--name", "spell")
    place = Path(prefix, "share", "jupyter", "kernels")
    foreign = place / "python3"
    foreign.mkdir()
    (foreign / "kernel.json").write_text('{"argv": ["python3", "-m", "ipykernel"]}')
    (place / "llmspell" / "kernel.json").write_text(
        (place / "llmspell" / "kernel.json").read_text().replace(sys.executable, "/nosuch/python")
    )
    rows = call(capsys, "jupyter", "list", "--prefix", prefix, "--json").document["kernelspecs"]
    assert [(row["name"], row["kind"], row["configuration"], row["works"]) for row in rows] == [
        ("llmspell", "shared", None, False),
        ("spell", "own", "candle", True),
    ]
    assert (
        "llmspell does not work: it starts /nosuch/python, which is not there"
        in call(capsys, "jupyter", "list", "--prefix", prefix).err
    )


def test_remove_takes_a_name_and_leaves_what_is_not_ours(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "jupyter", "install", "--name", "spell")
    (kernels / "python3").mkdir()
    (kernels / "python3" / "kernel.json").write_text('{"argv": ["python3", "-m", "ipykernel"]}')
    refused = call(capsys, "jupyter", "remove", "python3", "--yes")
    assert (refused.status, refused.err.splitlines()[0]) == (2, "Error: kernelspec 'python3' is not of llmspell")
    assert call(capsys, "jupyter", "remove", "other", "--yes").err.splitlines()[1].startswith("Hint: there are: spell")
    assert call(capsys, "jupyter", "remove", "spell", "--yes").status == 0
    assert [path.name for path in kernels.iterdir()] == ["python3"]
    assert call(capsys, "jupyter", "remove", "a", "--name", "b", "--yes").status == 2


def test_where_jupyter_does_not_look_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "env"), "--json")
    assert done.document["found"] is False
    assert (
        f"JUPYTER_PATH={tmp_path}/env/share/jupyter"
        in call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "env")).out
    )


def test_a_profile_and_a_name_become_part_of_the_kernelspec(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "-p", "candle", "jupyter", "install", "--name", "spell", "--display-name", "Spells")
    spec = json.loads((kernels / "spell" / "kernel.json").read_text())
    assert spec["argv"][-2:] == ["--profile", "candle"]
    assert spec["display_name"] == "Spells"


def test_a_configuration_file_is_named_by_its_whole_path(
    kernels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text("")
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


def test_without_a_terminal_remove_asks_nothing_and_says_how(
    kernels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(capsys, "jupyter", "install")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    done = call(capsys, "jupyter", "remove")
    assert (done.status, done.out) == (2, "")
    assert "there is no terminal" in done.err
    assert done.err.splitlines()[1] == "Hint: llmspell jupyter remove llmspell --yes"
    assert (kernels / "llmspell").exists()


def test_a_prefix_is_a_place_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "env"))
    assert done.status == 0
    assert (tmp_path / "env" / "share" / "jupyter" / "kernels" / "llmspell" / "kernel.json").exists()
    removed = call(capsys, "jupyter", "remove", "--prefix", str(tmp_path / "env"), "--yes")
    assert (removed.status, removed.out) == (0, "✓ Removed kernelspec llmspell\n")
    assert not (tmp_path / "env/share/jupyter/kernels/llmspell").exists()


NO_NAMES = ("", ".", "..", "...", ".hidden", "-x", "a/b", "../up", "/tmp", "a b", "a\n", "ä", "a" * 101)


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused_by_install_and_by_remove(
    kernels: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    call(capsys, "jupyter", "install")
    (kernels.parent / "kernel.json").write_text("{}")
    before = sorted(kernels.parent.rglob("*"))
    for words in (
        ("install", f"--name={name}"),
        ("remove", f"--name={name}", "--yes"),
        ("remove", "--yes", "--", name),
    ):
        done = call(capsys, "jupyter", *words)
        assert (done.status, "is not a kernelspec name" in done.err) == (2, True), (words, done.err)
    assert sorted(kernels.parent.rglob("*")) == before


def test_what_a_kernelspec_cannot_be_written_over_stays_as_it_was(
    kernels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernels.mkdir(parents=True)
    (kernels / "file").write_text("mine")
    (kernels / "dangling").symlink_to("nowhere")
    (kernels / "python3").mkdir()
    (kernels / "python3" / "kernel.json").write_text('{"argv": ["python3", "-m", "ipykernel"]}')
    before = sorted(kernels.rglob("*"))
    for name, words in (
        ("file", "is not a directory"),
        ("dangling", "is not a directory"),
        ("python3", "is not of llmspell"),
    ):
        done = call(capsys, "jupyter", "install", "--name", name)
        assert (done.status, words in done.err) == (2, True), done.err
        assert "Hint: choose another name with --name" in done.err
    below = call(capsys, "jupyter", "install", "--prefix", str(kernels / "file" / "deep"))
    assert (below.status, "can't write" in below.err, ".part" in below.err) == (2, True, False)
    assert sorted(kernels.rglob("*")) == before


def test_an_install_that_fails_half_way_leaves_what_was_there(
    kernels: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # A directory has the name that its file would get.
    (kernels / "llmspell" / "kernel.json").mkdir(parents=True)
    (kernels / "full" / "logo-svg.svg").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for name in ("llmspell", "full"):
        refused = call(capsys, "jupyter", "install", "--name", name)
        assert (refused.status, "is a directory" in refused.err) == (2, True), refused.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_to_a_kernelspec_is_written_through_and_removed_alone(
    kernels: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "real"))
    real = tmp_path / "real/share/jupyter/kernels/llmspell"
    kernels.mkdir(parents=True)
    (kernels / "llmspell").symlink_to(real)
    assert call(capsys, "jupyter", "install", "--own").status == 0
    assert "llmspell_kernel" in (real / "kernel.json").read_text()
    assert call(capsys, "jupyter", "remove", "--yes").status == 0
    assert not (kernels / "llmspell").is_symlink()
    assert len(list(real.iterdir())) == 4


def test_a_configuration_that_no_kernel_would_start_with_is_refused_and_shown(
    kernels: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "my.toml"
    for words in (("-p", "nosuch"), ("-c", str(config))):
        done = call(capsys, *words, "jupyter", "install")
        assert done.status != 0
        assert not kernels.exists()
    config.write_text("")
    assert call(capsys, "-c", str(config), "jupyter", "install").status == 0
    (row,) = call(capsys, "jupyter", "list", "--json").document["kernelspecs"]
    assert (row["works"], row["problem"]) == (True, None)
    config.unlink()
    (row,) = call(capsys, "jupyter", "list", "--json").document["kernelspecs"]
    assert (row["works"], "my.toml" in row["problem"]) == (False, True)
    assert "llmspell does not work: " in call(capsys, "jupyter", "list").err


@pytest.mark.parametrize("text", ["", "  ", "two\nlines"])
def test_a_display_name_is_a_line_of_text(kernels: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert call(capsys, "jupyter", "install", "--display-name", text).status == 2
    assert call(capsys, "jupyter", "install", "--prefix", "").status == 2
    assert not kernels.exists()


def test_remove_tells_of_kernelspecs_below_a_prefix(
    kernels: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call(capsys, "jupyter", "install", "--prefix", str(tmp_path / "env"), "--name", "owned")
    assert "--prefix DIR" in call(capsys, "jupyter", "remove", "owned", "--yes").err

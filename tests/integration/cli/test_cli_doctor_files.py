"""`llmspell doctor`: files that others can read or that dead kernels left, the home, and what `--fix` does."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.command_line import llmspell
from tests.support.doctor import doctor, said
from tests.support.kernels import KernelProcess

pytestmark = pytest.mark.usefixtures("quiet_machine")


def open_files(home: Path) -> None:
    """Files that others can read, and what a dead kernel leaves."""
    (home / "run").mkdir(mode=0o755)
    (home / "run").chmod(0o755)
    (home / "keys.json").write_text('{"keys": {}, "in_keyring": []}')
    (home / "keys.json").chmod(0o644)
    for suffix in ("json", "lock", "pid"):
        (home / "run" / f"kernel-dead.{suffix}").write_text("{}" if suffix == "json" else "")
        (home / "run" / f"kernel-dead.{suffix}").chmod(0o600)


def modes(home: Path) -> tuple[int, int]:
    """Of the run directory and the key file."""
    return stat.S_IMODE((home / "run").stat().st_mode), stat.S_IMODE((home / "keys.json").stat().st_mode)


def test_open_modes_fail_and_what_dead_kernels_left_is_a_warning(home: Path) -> None:
    open_files(home)
    status, found = doctor()
    assert status == 1
    assert found["files"]["status"] == "fail"
    assert found["files"]["hint"] == "llmspell doctor --fix"
    assert found["files"]["details"]["problems"] == [
        f"{home}/run can be read by others (mode 0755)",
        f"{home}/keys.json can be read by others (mode 0644)",
        "dead ended without clearing up",
    ]
    assert modes(home) == (0o755, 0o644)
    (home / "run").chmod(0o700)
    (home / "keys.json").chmod(0o600)
    assert doctor()[1]["files"]["status"] == "warn"


def test_fix_asks_puts_everything_right_and_the_exit_status_tells(home: Path) -> None:
    open_files(home)
    done = llmspell("doctor", "--offline", "--fix", stdin="y\n")
    assert done.status == 0
    assert f"  - set the mode of {home}/run to 0700 (it is 0755)\n" in done.out
    assert "  - remove what is left of kernel dead\n" in done.out
    assert "Do this? [y/N]: " in done.out
    assert f"✓ set the mode of {home}/keys.json to 0600 (it is 0644)\n" in done.out
    assert modes(home) == (0o700, 0o600)
    assert list((home / "run").iterdir()) == []
    assert (home / "logs").is_dir()
    assert (home / "models").is_dir()
    assert "Nothing to fix" in llmspell("doctor", "--offline", "--fix").out


@pytest.mark.parametrize(("answer", "status"), [("n\n", 1), ("", 1)])
def test_fix_does_nothing_without_a_yes(answer: str, status: int, home: Path) -> None:
    open_files(home)
    done = llmspell("doctor", "--offline", "--fix", stdin=answer)
    assert done.status == status
    assert "Cancelled" in done.out + done.err
    assert modes(home) == (0o755, 0o644)


def test_fix_in_json_needs_yes_and_tells_what_it_did(home: Path) -> None:
    open_files(home)
    refused = llmspell("doctor", "--offline", "--fix", "--json")
    assert (refused.status, refused.out, refused.error["hint"]) == (2, "", "use --yes")
    done = llmspell("doctor", "--offline", "--fix", "--yes", "--json")
    assert done.status == 0
    assert f"set the mode of {home}/run to 0700 (it is 0755)" in done.document["fixed"]
    assert {check["name"]: check["status"] for check in done.document["checks"]}["files"] == "ok"


def test_a_running_kernel_keeps_its_files(home: Path) -> None:
    kernel = KernelProcess(["--id", "alive"])
    try:
        assert llmspell("doctor", "--offline", "--fix", "--yes").status == 0
        assert (home / "run" / "kernel-alive.json").exists()
    finally:
        kernel.stop()


def test_a_home_that_is_not_there_yet_is_no_problem_and_fix_makes_it(tmp_path: Path) -> None:
    env = {"LLMSPELL_HOME": str(tmp_path / "new" / "home")}
    status, found = doctor(env=env)
    assert (status, found["files"]["status"]) == (0, "ok")
    assert "is not there yet" in found["files"]["message"]
    other = tmp_path / "other"
    done = llmspell("doctor", "--offline", "--fix", "--yes", env={"LLMSPELL_HOME": str(other)})
    assert f"✓ create {other}/run" in done.out
    assert stat.S_IMODE((other / "run").stat().st_mode) == 0o700


def test_a_home_that_is_a_file_fails_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, found = doctor(env={"LLMSPELL_HOME": str(tmp_path / "file")})
    assert status == 1
    assert said(found["files"]) == ("fail", f"{tmp_path}/file is not a directory")
    assert "LLMSPELL_HOME" in found["files"]["hint"]

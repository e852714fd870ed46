"""`kernel stop`: every way to name a kernel, drains and force, several at once, and what is left alone."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.discovery import running_kernels
from tests.support.command_line import Running, llmspell
from tests.support.daemons import daemon
from tests.support.kernels import KernelProcess


@pytest.fixture
def demon(home: Path) -> Iterator[dict[str, Any]]:
    """A running kernel `demon`."""
    with daemon("demon") as started:
        yield started


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "x", "--pid-file", "y"], "Cannot specify both --id and --pid-file"),
        (["x", "--pid-file", "y"], "Cannot specify both --id and --pid-file"),
        (["--all", "--id", "x"], "Cannot use --all with --id or --pid-file"),
        (["--all", "--pid-file", "x"], "Cannot use --all with --id or --pid-file"),
        ([], "Must specify --id, --pid-file, or --all"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(home: Path, words: list[str], message: str) -> None:
    done = llmspell("kernel", "stop", *words)
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: {message}")


@pytest.mark.parametrize("time", ["nan", "inf", "1e9", "-1"])
def test_a_time_that_can_not_be_waited_for_is_refused(home: Path, time: str) -> None:
    for words in (["kernel", "stop", "x", "--timeout"], ["kernel", "status", "--watch", "--interval"]):
        done = llmspell(*words, time)
        assert (done.status, done.err.startswith("Error: invalid value for '--")) == (2, True), done.err


def test_a_connection_and_an_id_are_two_kernels(home: Path) -> None:
    done = llmspell("--connect", "a", "kernel", "stop", "b")
    assert (done.status, done.err) == (2, "Error: two kernels are named: a and b\n")
    assert llmspell("--connect", "a", "kernel", "stop", "--all").status == 2


def test_running_work_may_finish(demon: dict[str, Any]) -> None:
    work = Running("--connect", "demon", "exec", "print('on') Utils.sleep(1.5) return 'finished'")
    work.wait_for("on")
    done = llmspell("kernel", "stop", "demon", "--json")
    (stopped,) = done.document["stopped"]
    assert (stopped["id"], stopped["pid"], stopped["forced"]) == ("demon", demon["pid"], False)
    assert stopped["duration_ms"] > 500
    assert set(done.document) == {"stopped", "failed", "count"}
    worked = work.done()
    assert (worked.status, worked.out) == (0, "on\nfinished\n")


def test_work_that_takes_too_long_is_told_and_the_kernel_ends_in_order(demon: dict[str, Any]) -> None:
    work = Running("--connect", "demon", "exec", "print('on') while true do end")
    work.wait_for("on")
    done = llmspell("kernel", "stop", "demon", "--timeout", "0.5", "--json")
    assert done.document["stopped"][0]["forced"] is False
    worked = work.done()
    assert worked.status == 130
    assert "shutting down" in worked.err


@pytest.mark.slow
def test_whoever_waits_is_told_how_much_patience_is_left(demon: dict[str, Any]) -> None:
    os.kill(demon["pid"], signal.SIGSTOP)
    done = llmspell("kernel", "stop", "demon", "--timeout", "9")
    lines = done.out.splitlines()
    assert lines[0] == f"Stopping kernel demon (PID: {demon['pid']})"
    assert lines[1] in {f"  Waiting for graceful shutdown... {seconds} seconds remaining" for seconds in (1, 2, 3)}
    assert lines[2] == "  It did not end in time and was killed"
    assert lines[3:] == ["✓ Kernel demon stopped successfully", "", "✓ Successfully stopped 1 kernel(s)"]


def test_ctrl_c_ends_the_waiting_and_says_that_the_kernel_goes_on(demon: dict[str, Any]) -> None:
    work = Running("--connect", "demon", "exec", "print('on') while true do end")
    work.wait_for("on")
    stopping = Running("kernel", "stop", "demon")
    stopping.wait_for("Stopping kernel demon")
    stopping.interrupt()
    said = stopping.done()
    assert said.status == 130
    assert "Kernel demon goes on shutting down; llmspell kernel stop demon --force ends it at once\n" in said.err
    assert llmspell("kernel", "stop", "demon", "--force").status == 0
    assert work.done().status == 4


def test_several_drain_at_the_same_time(demon: dict[str, Any], home: Path) -> None:
    names = ["a", "b"]
    others = [KernelProcess(["--id", name]) for name in names]
    try:
        work = [Running("--connect", name, "exec", "print('on') Utils.sleep(100)") for name in ("demon", *names)]
        for one in work:
            one.wait_for("on")
        done = llmspell("kernel", "stop", "--all", "--timeout", "4", "--json")
        assert done.status == 0
        assert [entry["id"] for entry in done.document["stopped"]] == ["b", "a", "demon"]
        assert [entry["forced"] for entry in done.document["stopped"]] == [False] * 3
        # One after the other the last one would have taken twelve seconds.
        assert 3_500 < done.document["stopped"][-1]["duration_ms"] < 10_000
        assert [one.done().status for one in work] == [130] * 3
    finally:
        for other in others:
            other.stop()
    assert list((home / "run").iterdir()) == []


def test_each_of_several_is_named_and_counted(demon: dict[str, Any]) -> None:
    other = KernelProcess(["--id", "other"])
    try:
        done = llmspell("kernel", "stop", "--all")
        assert done.out == (
            f"Stopping kernel other (PID: {other.pid})\n✓ Kernel other stopped successfully\n"
            f"Stopping kernel demon (PID: {demon['pid']})\n✓ Kernel demon stopped successfully\n"
            "\n✓ Successfully stopped 2 kernel(s)\n"
        )
    finally:
        other.stop()


def test_one_that_hangs_is_killed_and_the_others_end_in_order(demon: dict[str, Any]) -> None:
    other = KernelProcess(["--id", "other"])
    os.kill(demon["pid"], signal.SIGSTOP)
    try:
        done = llmspell("kernel", "stop", "--all", "--timeout", "3", "--json")
        assert done.document["failed"] == []
        assert {entry["id"]: entry["forced"] for entry in done.document["stopped"]} == {"demon": True, "other": False}
    finally:
        other.stop()


def test_a_pid_file_names_the_kernel_wherever_it_stands(home: Path, tmp_path: Path) -> None:
    with daemon("demon", "--pid-file", str(tmp_path / "k.pid")) as demon:
        done = llmspell("kernel", "stop", "--pid-file", str(tmp_path / "k.pid"), "--no-cleanup", "--json")
        assert done.document["stopped"][0]["pid"] == demon["pid"]
        assert (tmp_path / "k.pid").read_text() == f"{demon['pid']}\n"
        assert stat.S_IMODE(Path(demon["connection_file"]).stat().st_mode) == 0o600


def test_force_leaves_no_files_either(home: Path, tmp_path: Path) -> None:
    with daemon("demon", "--pid-file", str(tmp_path / "k.pid")):
        done = llmspell("kernel", "stop", "--force", "--json")
        assert done.document["stopped"][0]["forced"] is True
        assert list((home / "run").iterdir()) == []
        assert not (tmp_path / "k.pid").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_files_that_are_to_be_kept_are_kept_and_the_log_always_is(demon: dict[str, Any], force: list[str]) -> None:
    before = Path(demon["connection_file"]).read_text(), Path(demon["pid_file"]).read_text()
    assert llmspell("kernel", "stop", "--no-cleanup", *force).status == 0
    assert (Path(demon["connection_file"]).read_text(), Path(demon["pid_file"]).read_text()) == before
    assert Path(demon["log_file"]).exists()
    assert llmspell("kernel", "status").out == "No kernels currently running\n"


def test_a_foreign_process_is_left_alone(demon: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "foreign.pid"
    with subprocess.Popen(["sleep", "60"]) as foreign:
        path.write_text(f"{foreign.pid}\n")
        done = llmspell("kernel", "stop", "--pid-file", str(path), "--force")
        assert (done.status, done.err) == (
            3,
            f"Error: {path} names no running kernel of yours (process {foreign.pid} is sleep)\n"
            "Hint: llmspell kernel status\n",
        )
        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize(("content", "why"), [("abc", "it holds 'abc'"), ("", "it holds ''"), ("4194304", "has ended")])
def test_a_pid_file_that_names_nothing_says_so(home: Path, tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "x.pid"
    path.write_text(content)
    done = llmspell("kernel", "stop", "--pid-file", str(path))
    assert done.status == 3
    assert why in done.err
    assert llmspell("kernel", "stop", "--pid-file", str(tmp_path / "nosuch.pid")).status == 3


def test_a_kernel_elsewhere_is_asked_and_waited_for(demon: dict[str, Any], home: Path, tmp_path: Path) -> None:
    """Its files are in another home, as those of another machine would be."""
    work = Running("--connect", "demon", "exec", "print('on') Utils.sleep(1.5) return 'finished'")
    work.wait_for("on")
    elsewhere = {"LLMSPELL_HOME": str(tmp_path / "elsewhere")}
    done = llmspell("--connect", demon["url"], "kernel", "stop", env=elsewhere)
    assert (done.status, done.err) == (0, "")
    address = f"127.0.0.1:{demon['port']}"
    assert done.out == (
        f"Stopping kernel {address}\n✓ Kernel {address} stopped successfully\n\n✓ Successfully stopped 1 kernel(s)\n"
    )
    assert running_kernels(home / "run") == []
    assert work.done().out == "on\nfinished\n"
    gone = llmspell("--connect", demon["url"], "kernel", "stop", env=elsewhere)
    assert (gone.status, gone.err.startswith("Error: ")) == (4, True)


def test_the_environments_kernel_is_not_what_all_means(demon: dict[str, Any], home: Path) -> None:
    done = llmspell("kernel", "stop", "--all", env={"LLMSPELL_CONNECT": "nosuch"})
    assert done.out.endswith("✓ Successfully stopped 1 kernel(s)\n")

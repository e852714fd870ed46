"""`kernel stop`: every way to name a kernel, drains and force, several at once, and what is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.discovery import running_kernels
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.daemons import daemon
from tests.support.kernels import KernelProcess
from tests.support.turns import until


@pytest.fixture
def background(home: Path) -> Iterator[dict[str, Any]]:
    """A running kernel `background`, as `kernel start --daemon` describes it."""
    with daemon("background") as started:
        yield started


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "x", "--pid-file", "y"], "Cannot specify both --id and --pid-file"),
        (["x", "--pid-file", "y"], "Cannot specify both --id and --pid-file"),
        (["--all", "--id", "x"], "Cannot use --all with --id or --pid-file"),
        (["--all", "--pid-file", "x"], "Cannot use --all with --id or --pid-file"),
    ],
)
def test_options_that_contradict_each_other_are_refused(home: Path, words: list[str], message: str) -> None:
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


def asking(kernel: str) -> AtTerminal:
    """A script that runs until a line is typed."""
    work = AtTerminal(["--connect", kernel, "exec", "io.write('on ') return io.read()"])
    work.wait_for("on ")
    return work


def wait_until_it_drains(kernel: str) -> None:
    """Waits until the kernel says that it takes no more work."""
    status = Running("kernel", "status", kernel, "--watch", "--interval", "0.2")
    status.wait_for("Shutting Down")
    status.interrupt()
    status.done()


def finish(work: AtTerminal) -> None:
    """Types the line that the work waits for, and sees it end well."""
    work.type("finished\r")
    work.wait_for("finished\r\n")  # the terminal's echo
    work.wait_for("finished\r\n")
    assert work.end() == 0


def test_running_work_may_finish(background: dict[str, Any]) -> None:
    work = asking("background")
    stopping = Running("kernel", "stop", "background", "--json")
    wait_until_it_drains("background")
    assert stopping.process.poll() is None
    finish(work)
    done = stopping.done()
    (stopped,) = done.document["stopped"]
    assert (stopped["id"], stopped["pid"], stopped["forced"]) == ("background", background["pid"], False)
    assert set(done.document) == {"stopped", "failed", "count"}


def test_work_that_takes_too_long_is_told_and_the_kernel_ends_in_order(background: dict[str, Any]) -> None:
    work = Running("--connect", "background", "exec", "print('on') while true do end")
    work.wait_for("on")
    done = llmspell("kernel", "stop", "background", "--timeout", "0.5", "--json")
    assert done.document["stopped"][0]["forced"] is False
    worked = work.done()
    assert worked.status == 130
    assert "shutting down" in worked.err


@pytest.mark.slow
def test_a_waiting_stop_says_how_many_seconds_remain(background: dict[str, Any]) -> None:
    os.kill(background["pid"], signal.SIGSTOP)
    done = llmspell("kernel", "stop", "background", "--timeout", "9")
    lines = done.out.splitlines()
    assert lines[0] == f"Stopping kernel background (PID: {background['pid']})"
    assert lines[1] in {f"  Waiting for graceful shutdown... {seconds} seconds remaining" for seconds in (1, 2, 3)}
    assert lines[2] == "  It did not end in time and was killed"
    assert lines[3:] == ["✓ Kernel background stopped successfully", "", "✓ Successfully stopped 1 kernel(s)"]


def test_ctrl_c_ends_the_waiting_and_says_that_the_kernel_goes_on(background: dict[str, Any]) -> None:
    work = Running("--connect", "background", "exec", "print('on') while true do end")
    work.wait_for("on")
    stopping = Running("kernel", "stop", "background")
    stopping.wait_for("Stopping kernel background")
    stopping.interrupt()
    said = stopping.done()
    assert said.status == 130
    assert (
        "Kernel background goes on shutting down; llmspell kernel stop background --force ends it at once\n" in said.err
    )
    assert llmspell("kernel", "stop", "background", "--force").status == 0
    assert work.done().status == 4


def test_several_drain_at_the_same_time(background: dict[str, Any], home: Path) -> None:
    names = ["a", "b"]
    others = [KernelProcess(["--id", name]) for name in names]
    try:
        work = [asking(name) for name in ("background", *names)]
        stopping = Running("kernel", "stop", "--all", "--json")
        for name in ("background", *names):
            wait_until_it_drains(name)
        for one in work:
            finish(one)
        done = stopping.done()
        assert done.status == 0
        assert [entry["id"] for entry in done.document["stopped"]] == ["b", "a", "background"]
        assert [entry["forced"] for entry in done.document["stopped"]] == [False] * 3
    finally:
        for other in others:
            other.stop()
    assert list((home / "run").iterdir()) == []


def test_each_of_several_is_named_and_counted(background: dict[str, Any]) -> None:
    other = KernelProcess(["--id", "other"])
    try:
        done = llmspell("kernel", "stop", "--all")
        assert done.out == (
            f"Stopping kernel other (PID: {other.pid})\n✓ Kernel other stopped successfully\n"
            f"Stopping kernel background (PID: {background['pid']})\n✓ Kernel background stopped successfully\n"
            "\n✓ Successfully stopped 2 kernel(s)\n"
        )
    finally:
        other.stop()


def test_one_that_hangs_is_killed_and_the_others_end_in_order(background: dict[str, Any]) -> None:
    other = KernelProcess(["--id", "other"])
    os.kill(background["pid"], signal.SIGSTOP)
    try:
        done = llmspell("kernel", "stop", "--all", "--timeout", "3", "--json")
        assert done.document["failed"] == []
        assert {entry["id"]: entry["forced"] for entry in done.document["stopped"]} == {
            "background": True,
            "other": False,
        }
    finally:
        other.stop()


def test_a_pid_file_names_the_kernel_wherever_it_stands(home: Path, tmp_path: Path) -> None:
    with daemon("background", "--pid-file", str(tmp_path / "k.pid")) as background:
        done = llmspell("kernel", "stop", "--pid-file", str(tmp_path / "k.pid"), "--no-cleanup", "--json")
        assert done.document["stopped"][0]["pid"] == background["pid"]
        assert (tmp_path / "k.pid").read_text() == f"{background['pid']}\n"
        assert stat.S_IMODE(Path(background["connection_file"]).stat().st_mode) == 0o600


def test_force_leaves_no_files_either(home: Path, tmp_path: Path) -> None:
    with daemon("background", "--pid-file", str(tmp_path / "k.pid")):
        done = llmspell("kernel", "stop", "--force", "--json")
        assert done.document["stopped"][0]["forced"] is True
        assert list((home / "run").iterdir()) == []
        assert not (tmp_path / "k.pid").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_files_that_are_to_be_kept_are_kept_and_the_log_always_is(background: dict[str, Any], force: list[str]) -> None:
    before = Path(background["connection_file"]).read_text(), Path(background["pid_file"]).read_text()
    assert llmspell("kernel", "stop", "--no-cleanup", *force).status == 0
    assert (Path(background["connection_file"]).read_text(), Path(background["pid_file"]).read_text()) == before
    assert Path(background["log_file"]).exists()
    assert llmspell("kernel", "status").out == "No kernels currently running\n"


def test_a_foreign_process_is_left_alone(background: dict[str, Any], tmp_path: Path) -> None:
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


def test_a_kernel_elsewhere_is_asked_and_waited_for(background: dict[str, Any], home: Path, tmp_path: Path) -> None:
    """Its files are in another home, as those of another machine would be."""
    work = asking("background")
    elsewhere = {"LLMSPELL_HOME": str(tmp_path / "elsewhere")}
    stopping = Running("--connect", background["url"], "kernel", "stop", env=elsewhere)
    wait_until_it_drains("background")
    assert stopping.process.poll() is None
    finish(work)
    done = stopping.done()
    assert (done.status, done.err) == (0, "")
    address = f"127.0.0.1:{background['port']}"
    assert done.out == (
        f"Stopping kernel {address}\n✓ Kernel {address} stopped successfully\n\n✓ Successfully stopped 1 kernel(s)\n"
    )
    asyncio.run(until(lambda: running_kernels(home / "run") == []))  # The asker elsewhere cannot see its process.
    gone = llmspell("--connect", background["url"], "kernel", "stop", env=elsewhere)
    assert (gone.status, gone.err.startswith("Error: ")) == (4, True)


def test_the_environments_kernel_is_not_what_all_means(background: dict[str, Any], home: Path) -> None:
    done = llmspell("kernel", "stop", "--all", env={"LLMSPELL_CONNECT": "nosuch"})
    assert done.out.endswith("✓ Successfully stopped 1 kernel(s)\n")

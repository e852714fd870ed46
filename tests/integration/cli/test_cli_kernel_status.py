"""`kernel status`: every format, both modes, kernels that hang, and the live view."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.daemons import daemon
from tests.support.kernels import KernelProcess

HEADERS = ["ID", "PID", "Port", "Status", "CPU%", "Memory", "Clients", "Models", "Uptime"]
ALTERNATE, MAIN, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@pytest.fixture
def background(home: Path) -> Iterator[dict[str, Any]]:
    """A running kernel `background`, as `kernel start --daemon` describes it."""
    with daemon("background") as started:
        yield started


def test_the_table_is_plain_in_a_pipe(background: dict[str, Any]) -> None:
    for words in ([], ["--format", "table"], ["-f", "table"]):
        head, row = llmspell("kernel", "status", *words).out.splitlines()
        assert head.split() == HEADERS
        assert re.fullmatch(
            rf"background  {background['pid']}\s+{background['port']}\s+Idle\s+\d+\.\d\s+\d+\.\d MB  0\s+0\s+\d+s", row
        ), row


def test_the_table_is_drawn_at_a_terminal_unless_text_is_asked_for(background: dict[str, Any]) -> None:
    drawn = AtTerminal(["kernel", "status"], columns=120)
    assert drawn.end() == 0
    assert "────" in drawn.said
    plain = AtTerminal(["kernel", "status", "--format", "text"], columns=120)
    assert plain.end() == 0
    assert plain.said.startswith(f"background: PID={background['pid']} Port={background['port']} Status=Idle CPU=")
    assert re.search(r"Memory=\d+\.\d MB Uptime=\d+s\r\n$", plain.said)


def test_one_kernel_is_shown_with_all_its_properties(background: dict[str, Any]) -> None:
    for words in (["background"], ["--id", "background"]):
        lines = llmspell("kernel", "status", *words).out.splitlines()
        shown = dict(re.split(r": +", line, maxsplit=1) for line in lines)
        assert list(shown) == [
            *("ID", "PID", "Port", "Status", "Profile", "CPU", "Memory", "Clients", "Models", "Model budget", "Queue"),
            *("Open files", "Started", "Uptime", "Last activity", "Connection file", "PID file", "Log file"),
        ]
        assert (shown["ID"], shown["PID"], shown["Status"]) == ("background", str(background["pid"]), "Idle")
        assert re.fullmatch(r"0 B of [\d.]+ GB", shown["Model budget"])
        assert shown["Log file"] == background["log_file"]


def test_the_document_of_one_kernel_is_that_of_all(background: dict[str, Any]) -> None:
    (one,) = llmspell("kernel", "status", "background", "--json").document["kernels"]
    (all_of_them,) = llmspell("kernel", "status", "--json").document["kernels"]
    assert list(one) == list(all_of_them)
    assert list(one["metrics"]) == list(all_of_them["metrics"])


def test_a_kernel_that_works_is_busy(background: dict[str, Any]) -> None:
    busy = Running("--connect", "background", "exec", "print('on') while true do end")
    busy.wait_for("on")
    assert " Busy " in llmspell("kernel", "status").out
    busy.interrupt()
    assert busy.done().status == 130
    assert " Idle " in llmspell("kernel", "status").out


def test_connected_it_is_about_that_kernel(background: dict[str, Any], tmp_path: Path) -> None:
    other = KernelProcess(["--id", "other"])
    try:
        for target in ("other", str(other.started["connection_file"]), other.info.to_url()):
            document = llmspell("--connect", target, "kernel", "status", "--json").document
            assert [kernel["pid"] for kernel in document["kernels"]] == [other.pid]
        elsewhere = {"LLMSPELL_HOME": str(tmp_path / "elsewhere")}
        (seen,) = llmspell("--connect", other.info.to_url(), "kernel", "status", "--json", env=elsewhere).document[
            "kernels"
        ]
        assert (seen["id"], seen["status"]) == ("other", "Idle")
        assert seen["metrics"]["memory_bytes"] > 1_000_000
    finally:
        other.stop()
    gone = llmspell("--connect", "llmspell://127.0.0.1:1?key=k", "kernel", "status")
    assert (gone.status, gone.err.startswith("Error: ")) == (4, True)
    both = llmspell("--connect", "background", "kernel", "status", "other")
    assert (both.status, both.err) == (2, "Error: two kernels are named: background and other\n")


def test_a_kernel_that_hangs_delays_no_other_and_is_unknown(background: dict[str, Any], home: Path) -> None:
    others = [KernelProcess(["--id", name]) for name in ("b", "c")]
    stopped = [background["pid"], others[0].pid]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        kernels = {kernel["id"]: kernel for kernel in llmspell("kernel", "status", "--json").document["kernels"]}
        assert [kernels[name]["status"] for name in ("b", "c", "background")] == ["Unknown", "Idle", "Unknown"]
        assert kernels["b"]["metrics"]["memory_bytes"] > 1_000_000
        assert kernels["b"]["metrics"]["active_connections"] is None
        assert kernels["b"]["connection_file"] == str(home / "run" / "kernel-b.json")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        for other in others:
            other.stop()


def test_quiet_is_for_scripts(home: Path) -> None:
    none = llmspell("kernel", "status", "-q")
    assert (none.status, none.out, none.err) == (3, "", "")
    assert llmspell("kernel", "status", "-q", "x").status == 3
    with daemon("q"):
        assert (llmspell("kernel", "status", "-q").status, llmspell("kernel", "status", "-q").out) == (0, "q\n")
        assert (llmspell("kernel", "status", "-q", "q").status, llmspell("kernel", "status", "-q", "x").status) == (
            0,
            3,
        )


def test_none_and_an_unknown_one_are_told_apart(home: Path) -> None:
    none = llmspell("kernel", "status")
    assert (none.status, none.out, none.err) == (0, "No kernels currently running\n", "")
    assert llmspell("kernel", "status", "--json").document == {"kernels": [], "count": 0}
    unknown = llmspell("kernel", "status", "x")
    assert (unknown.status, unknown.err) == (3, "Error: Kernel 'x' not found\nHint: no kernel is running\n")
    with daemon("y"):
        assert llmspell("kernel", "status", "x").err == "Error: Kernel 'x' not found\nHint: running: y\n"


def test_urls_are_printed_where_there_are_any(background: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert llmspell("kernel", "status", "--url").out == background["url"] + "\n"
    (kernel,) = llmspell("kernel", "status", "--url", "--json").document["kernels"]
    assert (kernel["id"], kernel["url"]) == ("background", background["url"])
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        other = KernelProcess(["--id", "files", "--transport", "ipc"], env={"XDG_RUNTIME_DIR": directory})
        try:
            both = llmspell("kernel", "status", "--url")
            assert (both.status, both.out) == (0, background["url"] + "\n")
            assert both.err == "Warning: files has no URL: it listens on ipc\n"
            assert llmspell("kernel", "status", "files", "--url").status == 2
        finally:
            other.stop()


def test_watching_in_a_pipe_prints_a_block_each_interval(background: dict[str, Any]) -> None:
    running = Running("kernel", "status", "--watch", "--interval", "0.1")
    running.wait_for("\n\nID ")
    running.interrupt()
    done = running.done()
    assert (done.status, done.err) == (0, "")
    blocks = done.out.split("\n\n")
    assert all(block.split()[:9] == HEADERS for block in blocks[:-1])
    assert "\x1b" not in done.out


def test_watching_as_json_is_a_line_each_interval(background: dict[str, Any]) -> None:
    running = Running("kernel", "status", "--watch", "--json", "--interval", "0.1")
    running.wait_for("}\n{")
    running.interrupt()
    done = running.done()
    assert done.status == 0
    assert {json.loads(line)["count"] for line in done.out.splitlines()} == {1}


def test_a_kernel_that_ends_is_seen_before_the_interval_is_over(background: dict[str, Any]) -> None:
    running = Running("kernel", "status", "--watch", "--interval", "600")
    running.wait_for("background")
    os.kill(background["pid"], signal.SIGKILL)
    running.wait_for("No kernels currently running")
    running.interrupt()
    assert running.done().status == 0


def test_a_kernel_that_ends_while_it_is_watched_by_name_ends_the_watching(background: dict[str, Any]) -> None:
    running = Running("kernel", "status", "background", "--watch", "--interval", "600")
    running.wait_for("background")
    os.kill(background["pid"], signal.SIGKILL)
    done = running.done()
    assert (done.status, done.err) == (3, "Error: Kernel 'background' has ended\nHint: no kernel is running\n")


def test_the_live_view_leaves_the_terminal_as_it_was(background: dict[str, Any]) -> None:
    for leave in ("\x03", "TERM"):
        terminal = AtTerminal(["kernel", "status", "--watch", "--interval", "600"], columns=120)
        terminal.wait_for("Every 600 s")
        terminal.wait_for("background")
        assert ALTERNATE in terminal.text
        assert MAIN not in terminal.text
        if leave == "TERM":
            terminal.process.terminate()
        else:
            terminal.type(leave)
        assert terminal.end() == (143 if leave == "TERM" else 0)
        assert terminal.text.index(ALTERNATE) < terminal.text.index(MAIN)
        assert SHOW_CURSOR in terminal.text
        assert "Traceback" not in terminal.text


@pytest.mark.parametrize("columns", [60, 200])
def test_the_live_view_is_drawn_anew(background: dict[str, Any], columns: int) -> None:
    terminal = AtTerminal(["kernel", "status", "--watch", "--interval", "0.2"], columns=columns)
    for _ in range(3):
        terminal.wait_for("Every 0.2 s")
        terminal.wait_for("background")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.text.count("\x1b[2J") >= 3
    assert all(len(line) <= columns for line in terminal.said.splitlines())

"""`kernel logs`: of kernels that run, have ended, or are elsewhere; by number, age, level; followed over rotation."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmspell_protocol.discovery import is_running
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.daemons import daemon
from tests.support.kernels import KernelProcess


def line(level: str, text: str, *, ago_s: float = 0.0) -> str:
    moment = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat(timespec="milliseconds")
    return f"{moment.replace('+00:00', 'Z')} [{level}] {text}"


@pytest.fixture
def log(home: Path) -> Path:
    """The log that a kernel `dead` has left."""
    path = home / "logs" / "kernel-dead.log"
    path.parent.mkdir(mode=0o700)
    path.write_text(
        "\n".join(
            [
                line("INFO", "first", ago_s=7200),
                line("ERROR", "failed request_id=abc_1", ago_s=3600),
                "  Traceback (most recent call last):",
                "  ValueError: no",
                line("DEBUG", "detail", ago_s=60),
                line("WARN", "last", ago_s=5),
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    return path


def words_of(text: str) -> list[str]:
    return [entry.split("] ", 1)[-1] for entry in text.splitlines()]


def test_a_dead_kernels_log_is_shown_as_it_is(log: Path) -> None:
    for words in (["dead"], ["--id", "dead"]):
        done = llmspell("kernel", "logs", *words)
        assert (done.status, done.out, done.err) == (0, log.read_text(), "")


def test_without_a_running_kernel_the_last_log_is_shown_and_named(log: Path) -> None:
    done = llmspell("kernel", "logs")
    assert (done.status, done.out) == (0, log.read_text())
    assert done.err == "no kernel is running; this is the log of dead\n"


def test_the_number_of_entries_their_age_and_their_level_choose(log: Path) -> None:
    def shown(*words: str) -> list[str]:
        return words_of(llmspell("kernel", "logs", "dead", *words).out)

    assert shown("-n", "1") == ["last"]
    assert shown("--lines", "0") == []
    assert shown("--level", "warn") == [
        *("failed request_id=abc_1", "  Traceback (most recent call last):", "  ValueError: no"),
        "last",
    ]
    assert shown("--level", "error", "-n", "5")[0].startswith("failed")
    assert shown("--since", "1h30m", "--level", "info")[0].startswith("failed")
    assert shown("--since", "2m") == ["detail", "last"]
    assert shown("--since", "2m", "-n", "1") == ["last"]


def test_json_is_an_object_a_line_with_the_same_keys(log: Path) -> None:
    done = llmspell("kernel", "logs", "dead", "--json")
    assert [set(entry) for entry in done.events] == [
        {"ts", "level", "target", "message", "request_id", "traceback"} for _ in range(4)
    ]
    failed = done.events[1]
    assert (failed["level"], failed["message"], failed["request_id"]) == ("error", "failed", "abc_1")
    assert failed["traceback"] == "Traceback (most recent call last):\nValueError: no"


def test_a_log_in_json_gives_the_same_json(home: Path) -> None:
    with daemon("j", "--log-format", "json", "--trace", "info") as started:
        written = [json.loads(text) for text in Path(started["log_file"]).read_text().splitlines()]
        (shown, *_) = llmspell("kernel", "logs", "j", "--json").events
        assert {key: shown[key] for key in ("ts", "level", "message")} == {
            key: written[0][key] for key in ("ts", "level", "message")
        }
        assert llmspell("kernel", "logs", "j", "--level", "warn").out == ""


def test_a_running_kernel_is_found_wherever_it_writes(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "my.log"
    with daemon("far", "--log-file", str(path), "--trace", "info") as started:
        expected = f"kernel far (PID {started['pid']}) answers on 127.0.0.1:{started['port']}"
        for words in ([], ["far"], ["--connect", "far"], ["--connect", started["connection_file"]]):
            assert words_of(llmspell("kernel", "logs", *words).out)[0] == expected
        os.kill(started["pid"], signal.SIGSTOP)
        hung = llmspell("kernel", "logs", "far")
        # It can't be asked where it writes, and in the usual place there is nothing.
        assert (hung.status, hung.out) == (0, "")
        assert hung.err.startswith("no entries in ")


def test_a_kernel_elsewhere_tells_its_log(home: Path, tmp_path: Path) -> None:
    """Its files are in another home, as those of another machine would be."""
    elsewhere = {"LLMSPELL_HOME": str(tmp_path / "elsewhere")}
    with daemon("background", "--trace", "info") as started:
        here = llmspell("kernel", "logs", "background")
        there = llmspell("--connect", started["url"], "kernel", "logs", env=elsewhere)
        assert (there.status, there.out) == (0, here.out)
        assert llmspell("--connect", started["url"], "kernel", "logs", "--level", "error", env=elsewhere).out == ""
        followed = llmspell("--connect", started["url"], "kernel", "logs", "-f", env=elsewhere)
        assert followed.status == 2
        assert "on its own machine" in followed.err


def test_a_kernel_that_was_killed_is_read_by_its_file(home: Path) -> None:
    with daemon("victim", "--trace", "info") as started:
        os.kill(started["pid"], signal.SIGKILL)
        for _ in range(1000):
            if not is_running(home / "run", "victim"):
                break
            llmspell("kernel", "status")
        assert "answers on" in llmspell("kernel", "logs", "victim").out
        assert llmspell("kernel", "status").out == "No kernels currently running\n"
        assert "answers on" in llmspell("kernel", "logs", "victim").out


def test_which_log_is_meant_must_be_clear(home: Path, log: Path) -> None:
    unknown = llmspell("kernel", "logs", "nosuch")
    assert (unknown.status, unknown.err) == (
        3,
        "Error: Kernel 'nosuch' not found, nor a log of it\nHint: there are logs of: dead\n",
    )
    with daemon("one"):
        two = KernelProcess(["--id", "two"])
        try:
            done = llmspell("kernel", "logs")
            assert (done.status, done.err) == (
                2,
                "Error: several kernels are running: one, two\nHint: llmspell kernel logs one\n",
            )
        finally:
            two.stop()
    assert llmspell("--connect", "one", "kernel", "logs", "dead").status == 2
    assert llmspell("kernel", "logs", "dead", "--id", "other").status == 2


def test_no_log_at_all_says_how_to_get_one(home: Path) -> None:
    done = llmspell("kernel", "logs")
    assert (done.status, done.err) == (
        3,
        "Error: no kernel is running, and none has left a log\nHint: llmspell kernel start --daemon\n",
    )


@pytest.mark.parametrize("ago", ["yesterday", "5", "", "-1h"])
def test_an_age_that_is_no_duration_is_refused(log: Path, ago: str) -> None:
    done = llmspell("kernel", "logs", "dead", f"--since={ago}")
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: --since: '{ago}' is not a duration")


def test_enough_lines_are_found_in_rotated_files(log: Path) -> None:
    with gzip.open(log.with_name(log.name + ".1.gz"), "wt", encoding="utf-8") as packed:
        packed.write(line("INFO", "packed", ago_s=9000) + "\n")
    assert words_of(llmspell("kernel", "logs", "dead").out)[0] == "packed"
    assert words_of(llmspell("kernel", "logs", "dead", "-n", "4").out)[0] == "first"


def test_what_is_written_is_followed_over_a_rotation_until_ctrl_c(log: Path) -> None:
    following = Running("kernel", "logs", "dead", "-f", "-n", "1", "--level", "info")
    following.wait_for("last\n")
    with log.open("a", encoding="utf-8") as file:
        file.write(line("DEBUG", "hidden") + "\n" + line("INFO", "second") + "\n")
    following.wait_for("second\n")
    log.rename(log.with_name(log.name + ".1"))
    log.write_text(line("ERROR", "third") + "\n  below\n", encoding="utf-8")
    following.wait_for("below\n")
    following.interrupt()
    done = following.done()
    assert (done.status, done.err) == (0, "")
    assert words_of(done.out) == ["last", "second", "third", "  below"]


def test_following_ends_with_its_reader_although_nothing_is_written(log: Path) -> None:
    following = Running("kernel", "logs", "dead", "--follow", keep_out=True)
    assert following.process.stdout is not None
    assert following.process.stdout.readline()
    following.process.stdout.close()
    done = following.done()
    assert done.err == ""


def test_a_real_kernel_is_followed_over_its_own_rotations_and_its_end(home: Path) -> None:
    with daemon("rolling", "--trace", "info", "--log-rotate-size", "2000", "--log-rotate-count", "2") as started:
        following = Running("kernel", "logs", "rolling", "--follow", "--json")
        following.wait_for("answers on")
        for number in range(40):
            done = llmspell("--connect", "rolling", "exec", f"Logger.warn('line {number} ' .. ('x'):rep(100))")
            assert done.status == 0, done.err
            following.wait_for(f"line {number} ")
            if Path(started["log_file"] + ".1.gz").exists():
                break
        else:
            pytest.fail("the log was never rotated")
        llmspell("kernel", "stop", "rolling")
        following.wait_for("has ended")
        following.interrupt()
        done = following.done()
        assert done.status == 0
        found = [re.search(r"line (\d+) ", entry["message"]) for entry in done.events]
        seen = [int(match[1]) for match in found if match is not None]
        assert seen == list(range(number + 1))


def test_a_terminal_is_not_steered_by_what_a_log_holds(log: Path) -> None:
    log.write_text(line("INFO", "evil \x1b]0;title\x07 name") + "\n", encoding="utf-8")
    terminal = AtTerminal(["kernel", "logs", "dead"], columns=120)
    assert terminal.end() == 0
    assert "evil \\x1b]0;title\\x07 name" in terminal.text
    assert llmspell("kernel", "logs", "dead").out == log.read_text()

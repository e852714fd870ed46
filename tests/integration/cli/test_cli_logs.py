"""--trace and the other global options at work: logs go to stderr alone, and options count wherever they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_cases import CASES, asks_for_json, command_of, undo, words_of
from tests.support.command_line import call, llmspell
from tests.support.kernels import KernelProcess

QUIET = list(
    {
        (command_of(case), asks_for_json(case)): name
        for name, case in CASES.items()
        if case.where == "both" and case.words[0] != "run"
    }.values()
)
"""A case for people and one for programs of every command."""
TARGETS = ["run hello.lua", "exec return", "model list", "model status --backend candle", "version --short"]


@pytest.mark.parametrize("name", QUIET)
def test_the_result_is_the_same_at_the_loudest_level(name: str, case_directory: Path) -> None:
    case = CASES[name]
    words = words_of(case, case_directory)
    quiet = llmspell(*words, stdin=case.stdin)
    undo(case, case_directory)
    loud = llmspell("--trace", "trace", *words, stdin=case.stdin)
    undo(case, case_directory)
    assert loud.status == quiet.status
    if not asks_for_json(case):
        assert loud.out == quiet.out
    assert "[TRACE]" not in loud.out
    assert "[DEBUG]" not in loud.out


def test_logs_are_lines_with_time_and_level_on_stderr(case_directory: Path) -> None:
    done = llmspell("--trace", "debug", "model", "list")
    logged = [line for line in done.err.splitlines() if "[DEBUG]" in line or "[INFO]" in line]
    assert logged
    stamp = logged[0].split()[0]
    assert (stamp[4], stamp[10], stamp[-1]) == ("-", "T", "Z")
    assert "[DEBUG]" not in llmspell("model", "list").err


def test_logs_are_json_objects_in_json_mode(case_directory: Path) -> None:
    done = llmspell("--trace", "trace", "--json", "model", "list")
    assert done.document["count"] == 1
    objects = [json.loads(line) for line in done.err.splitlines()]
    assert any("log" in one for one in objects)


def test_off_silences_the_log_and_no_error(case_directory: Path) -> None:
    assert llmspell("--trace", "off", "exec", "return 1").err == ""
    assert llmspell("--trace", "off", "model", "info", "nosuch").err.startswith("Error: ")


def test_a_traceback_is_shown_from_debug_on_and_never_below(case_directory: Path) -> None:
    words = ["exec", "error('oops')"]
    for level in ("off", "error", "warn", "info"):
        assert "Traceback" not in llmspell("--trace", level, *words).err
    assert llmspell(*words).err == "Error: exec:1: oops\n  1 | error('oops')\n"


# Every global option before the command and behind it; what it does is seen in the output, so that one that is
# accepted and forgotten fails.
@pytest.mark.parametrize("line", TARGETS)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_global_option_works_wherever_it_stands(line: str, place: str, case_kernel: KernelProcess) -> None:
    def told(*options: str) -> tuple[int, str, str]:
        words = [*options, *line.split()] if place == "before" else [*line.split(), *options]
        done = llmspell(*words)
        return done.status, done.out, done.err

    plain = told()
    assert plain[0] == 0
    target = str(case_kernel.started["connection_file"])
    assert told("--connect", target, "--trace", "off") == plain
    # A kernel that isn't there is only noticed by commands that ask one.
    unreachable = 0 if line.startswith("version --short") else 4
    assert told("--connect", "llmspell://127.0.0.1:1?key=k")[0] == unreachable
    loud = told("--trace", "debug")
    assert loud[:2] == plain[:2]
    assert json.loads(told("--output", "json", "--connect", target)[1])
    assert json.loads(told("--json", "--connect", target)[1])
    if "run" not in line:
        assert told("--no-color", "--kernel", target) == plain
        assert told("--output=pretty", "--kernel", target)[0] == 0
    if "version" not in line:
        assert told("-p", "nosuch")[0] == 3
        assert told("-c", "nosuch.toml")[0] == 2
        assert told("-p", "candle")[0] == 0


@pytest.mark.parametrize(
    ("option", "one", "other"),
    [
        ("--profile", "candle", "minimal"),
        ("--config", "a.toml", "b.toml"),
        ("--connect", "a", "b"),
        ("--trace", "info", "debug"),
        ("--output", "json", "text"),
    ],
)
@pytest.mark.parametrize("words", ["model list", "version", "exec 1", "kernel status"])
def test_one_option_with_two_values_is_a_usage_error(
    option: str, one: str, other: str, words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, option, one, *words.split(), option, other)
    assert (done.status, done.out) == (2, "")
    assert f"{option} {one} and {option} {other} can't both be meant" in done.err


def test_one_option_with_the_same_value_twice_is_none(home: Path) -> None:
    assert llmspell("--output", "text", "version", "--short", "--output", "text").status == 0

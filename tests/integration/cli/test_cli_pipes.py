"""Readers that have seen enough, outputs that are closed or full: a command ends quietly, or says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command_cases import CASES, one_of_each, undo, words_of
from tests.support.command_line import COMMAND, finished, llmspell
from tests.support.kernels import KernelProcess

LISTS = [
    ("model", "list", "-v"),
    ("model", "list", "--json"),
    ("model", "available"),
    ("model", "status"),
    ("model", "info", "tiny"),
    ("kernel", "status", "--json"),
]


def without_reader(words: list[str], stdin: str = "") -> tuple[int, str]:
    """Runs a command whose stdout has lost its reader; its exit status and what it says on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        status, _, said = finished(words, stdin.encode(), stdout=writer, environment=os.environ)
    finally:
        os.close(writer)
    return status, said.decode()


@pytest.mark.parametrize("name", one_of_each())
def test_a_command_whose_reader_is_gone_ends_as_quietly_as_with_one(
    name: str, case_directory: Path, request: pytest.FixtureRequest
) -> None:
    case = CASES[name]
    if case.where == "kernel":
        request.getfixturevalue("case_kernel")
    words = words_of(case, case_directory)
    status, said = without_reader(words, case.stdin)
    undo(case, case_directory)
    read = llmspell(*words, stdin=case.stdin)
    undo(case, case_directory)
    assert status in (0, read.status)
    assert "Broken pipe" not in said
    assert "Traceback" not in said
    assert "defect" not in said
    # What is news about the command itself stays; only the result had a reader that is gone.
    remarks, told = _remarks(said), _remarks(read.err)
    assert remarks == [line for line in told if line in remarks]


def _remarks(said: str) -> list[str]:
    """Its lines without a progress, of which one sees what the moment shows."""
    return [line for line in said.splitlines() if not line.startswith('{"event": "progress"')]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_the_first_line_of_a_list_is_what_head_shows(words: tuple[str, ...], case_kernel: KernelProcess) -> None:
    whole = llmspell(*words)
    first = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit "${PIPESTATUS[0]}"', "bash", *COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (first.returncode, first.stdout) == (0, whole.out.splitlines(keepends=True)[0])
    assert first.stderr == whole.err


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_a_script_that_never_ends_ends_with_its_reader(mode: str, case_kernel: KernelProcess) -> None:
    target = ["--connect", str(case_kernel.started["connection_file"])] if mode == "connected" else []
    words = [*target, "exec", "while true do print('line') end"]
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit "${PIPESTATUS[0]}"', "bash", *COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "line\n", "")
    # The kernel is free for the next one.
    assert llmspell(*target, "exec", "return 1", "--timeout", "10").out == "1\n"


def test_a_closed_output_is_no_error(case_directory: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *COMMAND, "model", "list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Error" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_behind_the_output_is_said(case_directory: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "bash", *COMMAND, "model", "available"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")
    told = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "bash", *COMMAND, "version", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, json.loads(told.stderr)["error"]["code"]) == (1, "disk_full")


def test_errors_that_are_not_read_do_not_hang(home: Path) -> None:
    done = subprocess.run([*COMMAND, "modle"], stderr=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 2
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run([*COMMAND, "modle"], stdout=subprocess.PIPE, stderr=writer, timeout=60, check=False)
    os.close(writer)
    assert (gone.returncode, gone.stdout) == (2, b"")

"""Remarks that can't be written are missed and change nothing; a result that can't be written is an error."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import odd_streams
from tests.support.command_cases import CASES, Case, one_of_each, undo, words_of, write_files
from tests.support.command_line import COMMAND, Done, llmspell
from tests.support.kernels import KernelProcess
from tests.support.odd_streams import full, read_only, run, shape, stuffed, unread

pytestmark = pytest.mark.skipif(not Path(odd_streams.FULL).exists(), reason="/dev/full is Linux's")

TRIES = 3
REMARKS = {
    "a warning": ("model", "list"),
    "a script's stderr": ("exec", "io.stderr:write('x', 10) print(1) io.stderr:write('y')"),
    "a script's stderr in JSON": ("--json", "exec", "io.stderr:write('x') return 1"),
    "numbers of a reply": ("chat", "mock/a", "--message", "hello", "--stats"),
    "progress": ("model", "pull", "mock/a"),
    "progress in JSON": ("model", "pull", "mock/a", "--json"),
    "a log": ("--trace", "debug", "exec", "return 1"),
    "an error": ("run", "nosuch.lua"),
    "a wrong option": ("model", "list", "--nosuch"),
    "a repl's errors": ("repl",),
}


@pytest.mark.parametrize("name", one_of_each())
def test_remarks_without_room_change_nothing_and_a_result_without_room_is_an_error(
    name: str, case_directory: Path, request: pytest.FixtureRequest
) -> None:
    case = CASES[name]
    targets: list[list[str]] = [[]]
    if case.where != "local":
        kernel: KernelProcess = request.getfixturevalue("case_kernel")
        targets = [["--connect", str(kernel.started["connection_file"])]]
        if case.where == "both":
            targets.append([])
    for target in targets:
        words = [*target, *words_of(case, case_directory)]
        # What would fit into memory is among what commands tell, and changes while others run.
        for _ in range(TRIES):
            usual = llmspell(*words, stdin=case.stdin)
            _put_right(case, case_directory)
            with full() as stream:
                done = run(words, stdin=case.stdin, err=stream)
            _put_right(case, case_directory)
            if shape(done.out) == shape(usual.out):
                break
        assert (done.status, shape(done.out)) == (usual.status, shape(usual.out))
    with full() as stream:
        told = run(words, stdin=case.stdin, out=stream)
    # A daemon that could not be told of is stopped already.
    if case.where != "local" or "start" not in case.words:
        undo(case, case_directory)
    assert "defect" not in told.err
    if usual.out and not usual.status:
        assert told.status != 0
        assert "No space left on device" in told.err
    else:
        assert told.status == usual.status or usual.out


def _put_right(case: Case, directory: Path) -> None:
    undo(case, directory)
    write_files(directory)


@pytest.mark.parametrize("odd", [full, unread, read_only, stuffed])
@pytest.mark.parametrize("what", REMARKS)
def test_what_is_said_beside_a_result_stops_nothing(what: str, odd: object, target: list[str]) -> None:
    words, stdin = [*target, *REMARKS[what]], "error('no')\nprint(2)\n"
    usual = llmspell(*words, stdin=stdin)
    with odd() as stream:  # type: ignore[operator]
        done = run(words, stdin=stdin, err=stream)
    assert (done.status, shape(done.out)) == (usual.status, shape(usual.out))


def test_a_result_reaches_a_reader_that_is_slow_where_writes_do_not_wait(home: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = subprocess.Popen(
        [*COMMAND, "exec", "for i = 1, 40000 do print('line', i) end"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        lines = stream.read().decode().split("\n")
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said, len(lines), lines[-2]) == (0, b"", 40001, "line\t40000")


def test_input_that_is_not_there_yet_is_waited_for_where_reads_do_not_wait(home: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = subprocess.Popen(
        [*COMMAND, "exec", "print('ready') io.stdout:flush() return io.read()"], stdin=reader, stdout=subprocess.PIPE
    )
    os.close(reader)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.write(writer, b"late\n")
    os.close(writer)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"late\n")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_hurt_nothing(closed: str, home: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", *COMMAND, "exec", "io.stderr:write('x') return 1"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_a_daemon_whose_start_can_not_be_told_is_stopped(home: Path) -> None:
    words = ["kernel", "start", "--daemon", "--port", "0", "--id", "unseen"]
    with full() as stream:
        done = run(words, out=stream)
    assert done == Done(1, "", "Error: No space left on device; the kernel, which could not be told of, was stopped\n")
    assert llmspell("kernel", "status").out == "No kernels currently running\n"

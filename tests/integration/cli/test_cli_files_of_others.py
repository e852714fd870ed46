"""Files below the home that another user has made: a command goes on without them, or says which it can't use.

Commands run without the power to pass over modes, which root has.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, llmspell
from tests.support.odd_streams import run

POWERLESS = () if os.geteuid() else ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")

pytestmark = pytest.mark.skipif(bool(POWERLESS) and shutil.which("setpriv") is None, reason="needs setpriv")


def closed(path: Path, mode: int) -> None:
    """A directory, or a file below one, that can't be used; its mode is put right after the test."""
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    else:
        path.mkdir()
    path.chmod(mode)


def kernel_of_another(home: Path) -> None:
    """What a kernel writes that another user has started."""
    for ending in ("json", "lock", "pid"):
        closed(home / f"run/kernel-other.{ending}", 0o000)


STATES: dict[str, Callable[[Path], None]] = {
    "logs that can't be written": lambda home: closed(home / "logs", 0o500),
    "logs that can't be looked at": lambda home: closed(home / "logs", 0o000),
    "a log of scripts": lambda home: closed(home / "logs/scripts.log", 0o400),
    "a kernel's log": lambda home: closed(home / "logs/kernel-old.log", 0o000),
    "run that can't be written": lambda home: closed(home / "run", 0o500),
    "run that can't be looked at": lambda home: closed(home / "run", 0o000),
    "a kernel's files": lambda home: kernel_of_another(home),
    "a home that can't be written": lambda home: home.chmod(0o500),
}

COMMANDS: dict[str, list[str]] = {
    "exec": ["exec", "return 1"],
    "chat": ["chat", "mock/a", "--message", "x"],
    "model list": ["model", "list"],
    "kernel logs": ["kernel", "logs"],
    "kernel logs of one": ["kernel", "logs", "old"],
    "kernel status": ["kernel", "status"],
    "kernel status of one": ["kernel", "status", "other"],
    "kernel stop": ["kernel", "stop", "--all"],
    "kernel stop of one": ["kernel", "stop", "other"],
    "connected": ["--connect", "other", "model", "list"],
    "repl": ["repl"],
    "doctor": ["doctor", "--offline"],
    "keys list": ["keys", "list"],
    "config show": ["config", "show", "models"],
}


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest, home: Path) -> Iterator[str]:
    """A home in which something belongs to another."""
    STATES[request.param](home)
    yield request.param
    home.chmod(0o700)
    for path in sorted(home.glob("**/*")):
        path.chmod(0o700)


def test_what_can_not_be_used_is_no_defect(state: str, home: Path) -> None:
    for words in COMMANDS.values():
        done = run(["--json", *words], stdin="print(1)\n", command=(*POWERLESS, *COMMAND))
        for word in ("defect", "internal", "Traceback"):
            assert word not in done.err, (words, done.err)
        assert [json.loads(line) for line in done.err.split("\n") if line] or not done.err
        if done.status and "Permission denied" in done.err:
            assert str(home) in done.err, (words, done.err)


@pytest.mark.parametrize("name", ["logs that can't be written", "logs that can't be looked at", "a log of scripts"])
def test_a_script_runs_without_its_worker_s_log(name: str, home: Path) -> None:
    STATES[name](home)
    done = run(["exec", "return 1", "--json"], command=(*POWERLESS, *COMMAND))
    (home / "logs").chmod(0o700)
    assert (done.status, json.loads(done.out)["result"]) == (0, 1)
    (told,) = [json.loads(line) for line in done.err.split("\n") if line]
    assert "workers go on without their log" in told["log"]


def test_a_kernel_of_another_user_hides_no_kernel_of_one_s_own(home: Path) -> None:
    STATES["a kernel's files"](home)
    command = (*POWERLESS, *COMMAND)
    try:
        assert run(["kernel", "start", "--daemon", "--port", "0", "--id", "mine"], command=command).status == 0
        assert run(["kernel", "status", "--quiet"], command=command).out == "mine\n"
        assert run(["--connect", "auto", "exec", "return 1"], command=command).out == "1\n"
        told = run(["--connect", "other", "exec", "return 1"], command=command)
        assert (told.status, told.err.partition(":")[2].strip()[:46]) == (
            1,
            "kernel 'other' was started by another user: it",
        )
    finally:
        assert llmspell("kernel", "stop", "mine").status == 0

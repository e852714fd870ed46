"""A package that brings a tool which does what no tool should: `install` puts it where a kernel finds it.

What is below is both the module of the package, which is built as a wheel and installed with pip, and its installer.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.parameters import ToolParameters, parameter

NAME = "wayward"
_PACKAGE = "wayward_tools"
_METADATA = f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: 1.0\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_ENTRY_POINTS = f"[llmspell.tools]\n{NAME} = {_PACKAGE}:TOOL\nmissing = {_PACKAGE}:NONE\n"


_CRASHING = f"[llmspell.tools]\n{NAME} = {_PACKAGE}_crashing:TOOL\n"


def install(directory: Path, *, crashes: bool = False) -> Path:
    """Builds the wheel and installs it; returns what goes onto a kernel's PYTHONPATH. It may crash when imported."""
    wheel = directory / f"{_PACKAGE}-1.0-py3-none-any.whl"
    info = f"{_PACKAGE}-1.0.dist-info"
    files = {
        f"{_PACKAGE}.py": Path(__file__).read_text(),
        f"{info}/METADATA": _METADATA,
        f"{info}/WHEEL": _WHEEL,
        f"{_PACKAGE}_crashing.py": "import os\nos.abort()\n",
        f"{info}/entry_points.txt": _CRASHING if crashes else _ENTRY_POINTS,
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    target = directory / "site"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run([*command, "--no-index", "--no-deps", "--target", target, wheel], check=True)
    return target


class Parameters(ToolParameters):
    """What `wayward` is called with."""

    does: str = parameter("what it does")
    place: str = parameter("a directory that it leaves notes in", "/")


def run(wanted: Parameters, call: Call) -> Outcome:
    """Says who it is, and does it."""
    call.progress("begun", pid=os.getpid())
    return Outcome(operation=wanted.does, result=_WAYS[wanted.does](wanted))


def _behave(wanted: Parameters) -> Any:
    del wanted
    return {"pid": os.getpid()}


def _never_end(wanted: Parameters) -> None:
    del wanted
    while True:
        pass


def _detach(wanted: Parameters) -> list[int]:
    """Leaves processes behind: a child, one with a session of its own, and one whose parent has ended."""
    del wanted
    found = []
    for leaves_session, leaves_parent in ((False, False), (True, False), (True, True)):
        read, write = os.pipe()
        if os.fork() == 0:
            if leaves_session:
                os.setsid()
            if leaves_parent and os.fork():
                os._exit(0)
            os.write(write, b"%d " % os.getpid())
            time.sleep(1000)
            os._exit(0)
        os.close(write)
        found.append(int(os.read(read, 100)))
        os.close(read)
    return found


def _detach_and_stay(wanted: Parameters) -> None:
    _detach(wanted)
    Path(wanted.place, "detached").touch()
    time.sleep(1000)


def _detach_and_crash(wanted: Parameters) -> None:
    _detach(wanted)
    _crash(wanted)


def _take_memory(wanted: Parameters) -> None:
    del wanted
    held = []
    while True:
        held.append(bytearray(64 << 20))


def _print(wanted: Parameters) -> None:
    del wanted
    piece = b"x" * 1_000_000
    for _ in range(1000):
        os.write(1, piece)
    print("said by Python")


def _crash(wanted: Parameters) -> None:
    del wanted
    ctypes.string_at(0)


def _break_the_pipe(wanted: Parameters) -> None:
    """Writes what announces an endless frame wherever a frame could go."""
    del wanted
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b"\xff\xff\xff\xff")
        except OSError:
            continue
    time.sleep(1000)


def _meet(wanted: Parameters) -> list[float]:
    """Runs from now until there is a file `go`; both times are the machine's."""
    began = time.monotonic()
    Path(wanted.place, f"begun-{os.getpid()}").touch()
    while not Path(wanted.place, "go").exists():
        time.sleep(0.005)
    return [began, time.monotonic()]


_WAYS: dict[str, Callable[[Parameters], Any]] = {
    "behaves": _behave,
    "never ends": _never_end,
    "detaches": _detach,
    "detaches and stays": _detach_and_stay,
    "detaches and crashes": _detach_and_crash,
    "takes memory": _take_memory,
    "prints": _print,
    "crashes": _crash,
    "exits": lambda _: sys.exit(3),
    "breaks the pipe": _break_the_pipe,
    "gives too much": lambda _: "x" * (300 << 20),
    "gives a set": lambda _: {1, 2},
    "gives a knot": lambda _: _knot(),
    "fails": lambda _: 1 // 0,
    "meets": _meet,
}


def _knot() -> list[Any]:
    knot: list[Any] = []
    knot.append(knot)
    return knot


TOOL = Tool(
    name=NAME,
    description="Does what no tool should.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    result="anything",
    example={"does": "behaves"},
)

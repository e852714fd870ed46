"""A process that has imported what commands and kernels import, and forks one for each that a test wants to run.

Nine tenths of what a short command takes are the interpreter's start and imports. What is forked here is a process like
any other: its standard streams, environment, directory and words are those that were asked for. What is about starts,
imports, signals or terminals is tested with processes that start by themselves.

Run as `python -m tests.support.command_server FD`; its caller's side is `forked.py`. Ends when that goes.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import tempfile
import termios
from typing import Any, NoReturn

PACKAGES = ("llmspell_protocol", "llmspell_profiles", "llmspell_kernel", "llmspell_providers", "llmspell_cli")
PROGRAMS = (".__main__", "worker")
"""How the names end of modules that are programs."""
OF_AN_EXTRA = ".transformer."
LIBRARIES = (
    *("asyncio", "concurrent.futures", "http.client", "logging.handlers", "sqlite3", "ssl", "tomllib", "uuid"),
    *("click", "httpx2", "jsonschema", "msgpack", "psutil", "pydantic", "pygments", "rich.console", "rich.table"),
    *("tomlkit", "wcwidth", "zmq", "zmq.asyncio", "openai", "anthropic"),
)
MOST_FDS = 8
SIZE_BYTES = 4


def main(control_fd: int) -> None:
    """Serves until the other side closes."""
    with socket.socket(fileno=control_fd) as control:
        _import_all()
        gc.collect()
        gc.freeze()
        # Attendants that have ended are none of its business.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        control.sendall(b"\n")
        while True:
            head, fds, _flags, _address = socket.recv_fds(control, SIZE_BYTES, MOST_FDS)
            if not head:
                return
            request = json.loads(_exactly(control, int.from_bytes(head, "big")))
            if os.fork() == 0:
                control.close()
                _attend(request, fds)
            for fd in fds:
                os.close(fd)


def _import_all() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not module.name.endswith(PROGRAMS) and OF_AN_EXTRA not in module.name:
                importlib.import_module(module.name)


def _exactly(control: socket.socket, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        piece = control.recv(size - len(read))
        assert piece, "the caller went in the middle of a request"
        read += piece
    return bytes(read)


def _attend(request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Forks what is asked for, tells its process id, waits for it and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    reply_fd, directory_fd, *streams = fds
    pid = os.fork()
    if pid == 0:
        os.close(reply_fd)
        _become(request, directory_fd, streams)
    for fd in (directory_fd, *streams):
        os.close(fd)
    os.write(reply_fd, f"{pid}\n".encode())
    _pid, status = os.waitpid(pid, 0)
    try:
        os.write(reply_fd, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def _become(request: dict[str, Any], directory_fd: int, streams: list[int]) -> NoReturn:
    """Is the process that was asked for: `streams` are its 0, 1, 2 and those that it is passed as they are numbered."""
    os.fchdir(directory_fd)
    numbers = [0, 1, 2, *request["passed"]]
    # Out of the way of the numbers that they shall have.
    clear = max([*numbers, *streams]) + 1
    apart = []
    for fd in streams:
        os.dup2(fd, clear + len(apart))
        apart.append(clear + len(apart))
    for fd, number in zip(apart, numbers, strict=True):
        os.dup2(fd, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in numbers:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed them
    if request["terminal"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    sys.path[0] = ""
    sys.argv = ["-c", *request["words"]]
    errors = sys.stdin.errors
    into, out, err = (io.FileIO(fd, mode, closefd=False) for fd, mode in ((0, "r"), (1, "w"), (2, "w")))
    encoding = sys.stderr.encoding
    sys.stdin = io.TextIOWrapper(io.BufferedReader(into), sys.stdin.encoding, errors)
    at_terminal = out.isatty()
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(out), sys.stdout.encoding, errors, line_buffering=at_terminal)
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(err), encoding, "backslashreplace", line_buffering=True)
    try:
        exec(request["before"], {})
        _program(request["module"])
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        if isinstance(asked.code, str):
            print(asked.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - what ends a process is told as an interpreter does
        sys.excepthook(*sys.exc_info())
        status = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _program(module: str | None) -> None:
    if module is None:
        from llmspell_cli.main import main as command_line

        command_line()
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

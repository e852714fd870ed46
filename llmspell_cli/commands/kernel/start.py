"""`llmspell kernel start`: in the foreground in this very process, or detached as a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from llmspell_cli.autostart.sd_notify import tell_service_manager
from llmspell_cli.invocation import Options
from llmspell_cli.kernels.start_failure import StartFailure
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, Timeout, error_from_content
from llmspell_protocol.exit_status import signal_name

READY_WITHIN_S = 10.0
_DEFAULT_PORT = 9555
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


@click.command(
    "start",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell -p candle kernel start --daemon", "in the background"),
        ("llmspell kernel start --port 0 --id work", "free ports, own name"),
    ),
)
@click.option("--port", type=click.IntRange(0, 65531), metavar="N", help="Shell port, four more follow; 0: free ports.")
@click.option("--host", metavar="ADDR", help="Address to listen on (127.0.0.1).")
@click.option("--transport", type=click.Choice(["tcp", "ipc"]), metavar="KIND", help="tcp or ipc.")
@click.option("--daemon", is_flag=True, help="Detach; return when the kernel answers.")
@click.option("-i", "--id", "kernel_id", metavar="ID", help="Kernel id (port-PORT).")
@click.option("-f", "--connection-file", metavar="FILE", help="Where it is written; an existing one decides.")
@click.option("--pid-file", metavar="FILE", help="Where to write the process id.")
@click.option("--log-file", metavar="FILE", help="Log of a daemon; a path without .log is a directory.")
@click.option("--idle-timeout", type=click.IntRange(0), metavar="S", help="End after this time without work; 0: never.")
@click.option("--max-clients", type=click.IntRange(1), metavar="N", help="Connected clients (64).")
@click.option("--log-rotate-size", type=click.IntRange(1), metavar="BYTES", help="Rotate the log at this size.")
@click.option("--log-rotate-count", type=click.IntRange(0), metavar="N", help="Rotated logs that are kept.")
@click.option("--log-format", type=click.Choice(["text", "json"]), metavar="FORM", help="Log lines as text or JSON.")
@click.option("--allow-remote", is_flag=True, default=None, help="Let other machines connect; needs CURVE keys.")
def start(options: Options, daemon: bool, **wanted: Any) -> int:
    """Start a kernel."""
    output = Output(options)
    if wanted["kernel_id"] is not None and not _ID.match(wanted["kernel_id"]):
        raise InvalidRequest(
            f"'{wanted['kernel_id']}' is no kernel id: letters, digits, '-' and '_' are possible, 64 at most",
            hint="llmspell kernel start --id my-kernel",
        )
    words = _words(options, daemon, wanted)
    if daemon:
        started = _detach(words, _log_file(wanted))
        try:
            _show(output, started)
        except BrokenPipeError:
            raise
        except OSError as error:
            _end_unseen(started["pid"])
            raise OSError(
                error.errno, f"{error.strerror}; the kernel, which could not be told of, was stopped"
            ) from None
    else:
        from llmspell_cli.connect import run_kernel

        run_kernel(words, lambda started: _serving(output, started), output.log)
    return 0


def _words(options: Options, daemon: bool, wanted: Mapping[str, Any]) -> list[str]:
    """The command line of `python -m llmspell_kernel`."""
    named = {
        "profile": options.profile,
        "config": os.path.abspath(options.config) if options.config is not None else None,
        "log-level": options.trace,
        "id": wanted["kernel_id"],
        **{name.replace("_", "-"): value for name, value in wanted.items() if name != "kernel_id"},
    }
    words = [
        f"--{name}" if value is True else f"--{name}={value}" for name, value in named.items() if value is not None
    ]
    return [*words, "--daemon"] if daemon else words


def _log_file(wanted: Mapping[str, Any]) -> Path:
    """Where the kernel's log stands, as far as the command line tells; only to show why a start failed."""
    from llmspell_cli.connect import run_directory

    name = f"kernel-{wanted['kernel_id'] or 'port-{}'.format(wanted['port'] or _DEFAULT_PORT)}.log"
    if wanted["log_file"] is None:
        return run_directory().parent / "logs" / name
    named = Path(wanted["log_file"])
    return named if named.suffix == ".log" else named / name


def _detach(words: list[str], log_file: Path) -> dict[str, Any]:
    """Starts the kernel in a process session of its own and waits for its first line.

    Raises:
        LlmspellError: why it could not start; or it ended, or did not answer in time, without a word.
    """
    ready, told = os.pipe()
    start_failure = StartFailure(log_file)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmspell_kernel", *words, f"--ready-fd={told}"],
            stdin=subprocess.DEVNULL,
            stdout=start_failure.fd,
            stderr=start_failure.fd,
            pass_fds=(told,),
            start_new_session=True,
        )
    finally:
        os.close(told)
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        line = _first_line(ready)
    except (Timeout, KeyboardInterrupt, SystemExit) as ending:
        # Without this a kernel would stay behind that no command names.
        process.kill()
        process.wait()
        if isinstance(ending, Timeout):
            raise start_failure.failure(ending.message) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(ready)
    if not line.endswith(b"\n"):
        raise start_failure.failure(f"the kernel {_ending(process.wait())} before it answered")
    start_failure.close()
    told_document: dict[str, Any] = json.loads(line)
    if "error" in told_document:
        process.wait()
        raise error_from_content(told_document["error"])
    return told_document


def _end_unseen(pid: int) -> None:
    """Ends the daemon whose start could not be told: its caller would not know of it."""
    # Only here a daemon of one's own is ended.
    from llmspell_cli.kernels.process_end import ProcessEnd

    with ProcessEnd(pid) as end:
        if not end.gone:
            os.kill(pid, signal.SIGTERM)
            end.wait(READY_WITHIN_S)


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _ending(status: int) -> str:
    """How a process ended: `ended with status 1`, `was killed by SIGKILL`."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal_name(-status)}"


def _first_line(ready: int) -> bytes:
    """What the kernel says; no whole line when it closed the pipe without a word."""
    import time

    deadline = time.monotonic() + READY_WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([ready], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Timeout(f"the kernel did not answer within {READY_WITHIN_S:.0f} s")
        piece = os.read(ready, 65536)
        if not piece:
            break
        line += piece
    return line


def _serving(output: Output, started: Mapping[str, Any]) -> None:
    _show(output, started)
    tell_service_manager(f"READY=1\nSTATUS=kernel {started['id']} answers")


def _show(output: Output, started: Mapping[str, Any]) -> None:
    for warning in started.get("warnings", ()):
        output.warning(warning)
    if output.json:
        output.document({key: value for key, value in started.items() if key != "warnings"})
        sys.stdout.flush()
        return
    host = started["host"]
    if started["transport"] != "ipc":
        host = f"[{host}]:{started['port']}" if ":" in host else f"{host}:{started['port']}"
    output.line(f"Kernel {started['id']} started (PID: {started['pid']})")
    output.line(f"  Address:         {host}")
    output.line(f"  Connection file: {home_path(started['connection_file'])}")
    output.line(f"  Log file:        {home_path(started['log_file'])}")
    # The URL holds the key: it is for eyes, not for logs.
    if started["url"] and output.terminal:
        output.line(f"  URL:             {started['url']}")
    if not started["daemon"]:
        output.line("Press Ctrl+C to stop")
    sys.stdout.flush()

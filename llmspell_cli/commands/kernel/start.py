"""`llmspell kernel start`: in the foreground in this very process, or detached as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from llmspell_cli.autostart.sd_notify import tell_service_manager
from llmspell_cli.daemon.launch import READY_WITHIN_S, detach
from llmspell_cli.daemon.offer import offer_autostart
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest

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
@click.option("-i", "--id", "kernel_id", metavar="ID", help="Kernel id (port-PORT, or pid-PID on free ports).")
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
            f"'{wanted['kernel_id']}' is not a kernel id: letters, digits, '-' and '_' are possible, 64 at most",
            hint="llmspell kernel start --id my-kernel",
        )
    words = _words(options, daemon, wanted)
    if daemon:
        started = detach(words, _log_file(wanted))
        try:
            _show(output, started)
        except BrokenPipeError:
            raise
        except OSError as error:
            _end_unseen(started["pid"])
            raise OSError(
                error.errno, f"{error.strerror}; the kernel, which could not be told of, was stopped"
            ) from None
        offer_autostart(output)
    else:
        from llmspell_cli.connect import run_kernel

        served: list[str] = []

        def serving(started: Mapping[str, Any]) -> None:
            served.append(str(started["id"]))
            _serving(output, started)

        run_kernel(words, serving, output)
        _tell_end(output, served)
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


def _tell_end(output: Output, served: list[str]) -> None:
    """The last line of a kernel in the foreground; its reader may be gone."""
    if output.json:
        return
    with suppress(OSError):
        for kernel_id in served:
            # A terminal has shown "^C" at the beginning of the line.
            output.write("\r" * output.terminal + f"Kernel {kernel_id} stopped\n")


def _end_unseen(pid: int) -> None:
    """Ends the daemon whose start could not be told: its caller would not know of it."""
    # Only here a daemon of one's own is ended.
    from llmspell_cli.kernels.process_end import ProcessEnd

    with ProcessEnd(pid) as end:
        if not end.gone:
            os.kill(pid, signal.SIGTERM)
            end.wait(READY_WITHIN_S)


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

"""`llmspell kernel logs`: what a kernel has written, also when it has ended, and what it writes from now on."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from llmspell_cli.choice import running_by_id, the_only_one
from llmspell_cli.connect import connected, run_directory
from llmspell_cli.invocation import Options
from llmspell_cli.kernels.log_tail import Entry, Follower, Wanted, entries, last_entries
from llmspell_cli.options import Command
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_cli.terminal.visible import visible_lines
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running, resolve
from llmspell_protocol.errors import (
    ConfigError,
    InvalidRequest,
    KernelUnreachable,
    LlmspellError,
    NotFound,
    Unsupported,
)

_LINES = 50
_LEVELS = ("error", "warn", "info", "debug", "trace")
_MANY = 10_000
"""Lines that are asked of a kernel elsewhere when most of them may not be wanted."""


@click.command(
    "logs",
    cls=Command,
    examples=(
        ("llmspell kernel logs", "of the one that runs, or ran last"),
        ("llmspell kernel logs port-9555 -f", "as it is written"),
        ("llmspell kernel logs --since 10m --level warn", "what went wrong lately"),
    ),
)
@click.option("-i", "--id", "named", metavar="ID", help="The kernel; same as the argument.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Entries (50; with --since all).")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl+C.")
@click.option("--since", metavar="DURATION", help="Not older than this: 30s, 10m, 2h.")
@click.option(
    "--level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    metavar="LEVEL",
    help="Of this level or a more important one: error, warn, info, debug, trace.",
)
@click.argument("kernel_id", metavar="[ID]", required=False)
def logs(
    options: Options,
    kernel_id: str | None,
    named: str | None,
    lines: int | None,
    follow: bool,
    since: str | None,
    level: str | None,
) -> None:
    """Show a kernel's log; works for one that has ended, too."""
    output = Output(options)
    if kernel_id is not None and named not in (None, kernel_id):
        raise InvalidRequest(f"two kernels are named: {kernel_id} and {named}")
    wanted = Wanted(level, _moment(since) if since is not None else None)
    count = lines if lines is not None else None if since is not None else _LINES
    try:
        place = _place(options, output, kernel_id or named)
        if isinstance(place, ConnectionInfo):
            _show(output, _from_afar(place, wanted, count, follow=follow))
        elif follow:
            # Opened before the end is read, so that no line falls between the two.
            with Follower(place, _pause) as follower:
                _show(output, last_entries(place, wanted, count))
                for added in follower:
                    _show(output, (entry for entry in added if wanted(entry)))
        else:
            found = last_entries(place, wanted, count)
            _show(output, found)
            if not found and not output.json:
                output.note(f"no {'entries' if wanted == Wanted() else 'such entries'} in {home_path(str(place))}")
    except KeyboardInterrupt:
        if not follow:
            raise
        # Ctrl+C is how one leaves a log that is followed: nothing was cancelled.


def _moment(ago: str) -> str:
    """The time so long ago, as log lines write it.

    Raises:
        InvalidRequest: not a duration.
    """
    from llmspell_protocol.durations import duration_seconds

    try:
        moment = datetime.now(UTC) - timedelta(seconds=duration_seconds(ago))
    except (ValueError, OverflowError):
        raise InvalidRequest(f"--since: '{ago}' is not a duration", hint="such as 30s, 10m, 2h or 1h30m") from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(options: Options, output: Output, kernel_id: str | None) -> Path | ConnectionInfo:
    """The log file that is meant; the connection of a kernel whose files are not on this machine.

    Raises:
        NotFound: neither a kernel nor a log has this id, or there is none at all.
        InvalidRequest: several kernels run and none is named.
    """
    run_dir = run_directory()
    if kernel_id is not None:
        if options.connect_named:
            raise InvalidRequest(f"two kernels are named: {options.connect} and {kernel_id}")
        return _of_id(run_dir, kernel_id)
    if options.connect is not None:
        info = resolve(options.connect, run_dir, os.environ)
        return _told(info) if _is_here(run_dir, info) else info
    try:
        return _told(the_only_one("llmspell kernel logs"))
    except KernelUnreachable:
        return _newest(output)


def _is_here(run_dir: Path, info: ConnectionInfo) -> bool:
    if info.id is None or not is_running(run_dir, info.id):
        return False
    return ConnectionInfo.read(connection_path(run_dir, info.id)).key == info.key


def _of_id(run_dir: Path, kernel_id: str) -> Path:
    if not is_running(run_dir, kernel_id) and (path := _default(kernel_id)).exists():
        return path
    ids = [_id_of(other) for other in _logs()]
    try:
        return _told(running_by_id(kernel_id))
    except NotFound:
        begun = [other for other in ids if other.startswith(kernel_id)]
    if len(begun) == 1:
        return _default(begun[0])
    if begun:
        raise InvalidRequest(
            f"several logs are of kernels whose id begins with '{kernel_id}': {', '.join(sorted(begun))}",
            hint="give more of it",
            details={"id": kernel_id, "logs": ids},
        )
    raise NotFound(
        f"Kernel '{kernel_id}' not found, nor a log of it",
        hint=f"there are logs of: {', '.join(ids)}" if ids else "llmspell kernel start --daemon",
        details={"id": kernel_id, "logs": ids},
    )


def _told(info: ConnectionInfo) -> Path:
    """Where a kernel of this machine writes, as it says itself; one that doesn't answer writes to the usual place."""
    try:
        with connected(info) as opened:
            told = document(opened.ask("kernel_request", {"action": "status"}, timeout_s=1.0)).get("log_file")
    except LlmspellError:
        told = None
    return Path(told) if told else _default(info.id or "")


def _newest(output: Output) -> Path:
    found = _logs()
    if not found:
        raise NotFound("no kernel is running, and none has left a log", hint="llmspell kernel start --daemon")
    output.note(f"no kernel is running; this is the log of {_id_of(found[0])}", id=_id_of(found[0]))
    return found[0]


def _log_directory() -> Path:
    return run_directory().parent / "logs"


def _default(kernel_id: str) -> Path:
    return _log_directory() / f"kernel-{kernel_id}.log"


def _logs() -> list[Path]:
    """The logs of all kernels in the usual place, the one written last first.

    Raises:
        ConfigError: this user may not look there.
    """
    directory = _log_directory()
    try:
        names = [name for name in os.listdir(directory) if name.startswith("kernel-") and name.endswith(".log")]
        return sorted((directory / name for name in names), key=lambda path: path.stat().st_mtime, reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"can't read the logs in {directory}: {error.strerror}", details={"path": str(directory)}
        ) from None


def _id_of(path: Path) -> str:
    return path.stem.removeprefix("kernel-")


def _from_afar(info: ConnectionInfo, wanted: Wanted, count: int | None, *, follow: bool) -> list[Entry]:
    """The entries as the kernel tells them: its file is on another machine, or another user's."""
    if follow:
        raise Unsupported(
            f"the log of the kernel at {info.address} can be followed on its own machine only",
            hint="ssh MACHINE llmspell kernel logs -f",
        )
    lines = count if count is not None and wanted == Wanted() else _MANY
    with connected(info) as opened:
        told = document(opened.ask("kernel_request", {"action": "logs", "lines": lines}, timeout_s=10.0))
    chosen = [entry for entry in entries(told["lines"]) if wanted(entry)]
    return chosen if count is None else chosen[len(chosen) - count :] if count < len(chosen) else chosen


def _show(output: Output, chosen: Iterable[Entry]) -> None:
    for entry in chosen:
        if output.json:
            output.event(_object(entry))
        else:
            for line in entry.lines:
                output.shown_line(visible_lines(line) if output.terminal else line)
    sys.stdout.flush()


def _pause(seconds: float) -> None:
    """Waits while stdout has a reader: `logs -f | head -1` would stay until the next line otherwise.

    Raises:
        BrokenPipeError: the reader has gone.
    """
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # Nothing but errors, which a pipe without a reader has.
    if reader.poll(round(1000 * seconds)):
        raise BrokenPipeError


def _object(entry: Entry) -> dict[str, Any]:
    """The entry in JSON mode; lines that no log line began are a message and nothing else."""
    line = entry.parsed()
    if line is None:
        return {
            **dict.fromkeys(("ts", "level", "target", "message", "request_id", "traceback")),
            "message": "\n".join(entry.lines),
        }
    return line._asdict()

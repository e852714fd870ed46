"""`llmspell kernel stop`: drains a kernel, then TERM, then KILL."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from llmspell_cli.connect import connected, remove_stale_files, run_directory
from llmspell_cli.options import Command, Options
from llmspell_cli.output import Output
from llmspell_cli.process_end import ProcessEnd
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running, resolve, running_kernels
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound, exit_status
from llmspell_protocol.messages import METADATA_KEY

_REMARK_EVERY_S = 5.0
_AFTER_TERM_S = 2.0


@click.command(
    "stop",
    cls=Command,
    examples=(
        ("llmspell kernel stop", "the only one that runs"),
        ("llmspell kernel stop port-9555 --timeout 60", "with patience"),
        ("llmspell kernel stop --all", "every kernel of yours"),
    ),
)
@click.option("-i", "--id", "named", metavar="ID", help="The kernel; same as the argument.")
@click.option("--pid-file", metavar="FILE", help="The kernel whose process id is in this file.")
@click.option("--all", "everything", is_flag=True, help="All kernels of this user.")
@click.option("--force", is_flag=True, help="Kill at once.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), default=30.0, metavar="S", help="Patience (30).")
@click.option("--no-cleanup", is_flag=True, help="Keep connection and pid files.")
@click.argument("kernel_id", metavar="[ID]", required=False)
def stop(
    options: Options,
    kernel_id: str | None,
    named: str | None,
    pid_file: str | None,
    everything: bool,
    force: bool,
    timeout_s: float,
    no_cleanup: bool,
) -> int:
    """Stop a kernel: what runs may finish, then it is ended."""
    output = Output(options)
    if kernel_id is not None and named not in (None, kernel_id):
        raise InvalidRequest(f"two kernels are named: {kernel_id} and {named}")
    targets = _targets(options, kernel_id or named, pid_file, everything=everything)
    if not targets:
        _report(output, [], [])
        return 0
    stopper = _Stopper(output, force=force, timeout_s=timeout_s, keep_files=no_cleanup)
    stopped: list[_Stopped] = []
    failed: list[tuple[ConnectionInfo, LlmspellError]] = []
    for target in targets:
        try:
            stopped.append(stopper.stop(target))
        except LlmspellError as error:
            if len(targets) == 1:
                raise
            failed.append((target, error))
    _report(output, stopped, failed)
    return max((exit_status(error.code) for _, error in failed), default=0)


def _targets(options: Options, named: str | None, pid_file: str | None, *, everything: bool) -> list[ConnectionInfo]:
    """The kernels that are meant.

    Raises:
        InvalidRequest: none is named, or in two ways.
        NotFound: the named one does not run.
    """
    if named and pid_file:
        raise InvalidRequest("Cannot specify both --id and --pid-file")
    if everything and (named or pid_file):
        raise InvalidRequest("Cannot use --all with --id or --pid-file")
    if named:
        return [_running(named)]
    if pid_file:
        return [_by_pid_file(Path(pid_file))]
    if options.connect is not None:
        return [resolve(options.connect, run_directory(), os.environ)]
    running = running_kernels(run_directory())
    if not everything and len(running) != 1:
        ids = sorted(info.id or info.address for info in running)
        hint = f"running: {', '.join(ids)}" if ids else "no kernel is running"
        raise InvalidRequest("Must specify --id, --pid-file, or --all", hint=hint)
    return running


def _running(kernel_id: str) -> ConnectionInfo:
    if not is_running(run_directory(), kernel_id):
        ids = [info.id for info in running_kernels(run_directory()) if info.id]
        hint = f"running: {', '.join(ids)}" if ids else "no kernel is running"
        raise NotFound(f"Kernel '{kernel_id}' not found", hint=hint, details={"id": kernel_id, "running": ids})
    return ConnectionInfo.read(connection_path(run_directory(), kernel_id))


def _by_pid_file(path: Path) -> ConnectionInfo:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise NotFound(f"can't read {path}: {error.strerror}", details={"pid_file": str(path)}) from None
    for info in running_kernels(run_directory()):
        if text.isdecimal() and info.pid == int(text):
            return info
    raise NotFound(
        f"{path} names no running kernel of yours",
        hint="llmspell kernel status",
        details={"pid_file": str(path), "content": text[:40]},
    )


@dataclass(frozen=True)
class _Stopped:
    info: ConnectionInfo
    forced: bool
    duration_ms: int

    @property
    def name(self) -> str:
        return self.info.id or self.info.address


class _Stopper:
    """Stops one kernel after another, in the way that the options ask for."""

    def __init__(self, output: Output, *, force: bool, timeout_s: float, keep_files: bool) -> None:
        self._output = output
        self._force = force
        self._timeout_s = timeout_s
        self._keep_files = keep_files

    def stop(self, info: ConnectionInfo) -> _Stopped:
        """Ends one kernel.

        Raises:
            LlmspellError: it can't be asked to end (a kernel of another machine, say).
        """
        name = info.id or info.address
        if not self._output.json:
            self._output.line(f"Stopping kernel {name}" + (f" (PID: {info.pid})" if info.pid else ""))
        begun = time.monotonic()
        here = info.pid is not None and info.id is not None and is_running(run_directory(), info.id)
        if here and info.pid is not None:
            forced = self._end_process(info, info.pid)
        else:
            _ask_to_end(info, self._timeout_s)
            forced = False
        if not self._output.json:
            self._output.line(f"✓ Kernel {name} stopped successfully")
        return _Stopped(info, forced, round(1000 * (time.monotonic() - begun)))

    def _end_process(self, info: ConnectionInfo, pid: int) -> bool:
        """Ends a kernel of this machine; whether force was needed."""
        kept = self._files(info)
        with ProcessEnd(pid) as end:
            forced = self._force or not self._drained(info, end)
            if forced:
                os.kill(pid, signal.SIGKILL)
                end.wait(_AFTER_TERM_S)
        if forced:
            remove_stale_files()
        for path, content in kept.items():
            path.touch(mode=0o600)
            path.write_bytes(content)
        return forced

    def _drained(self, info: ConnectionInfo, end: ProcessEnd) -> bool:
        """Whether the process ended by itself, after being asked and after TERM."""
        deadline = time.monotonic() + self._timeout_s
        try:
            _ask_to_end(info, self._timeout_s)
        except LlmspellError:
            # It does not answer; a signal may still reach it.
            _signal(info.pid, signal.SIGTERM)
        while (left := deadline - time.monotonic()) > 0:
            if end.wait(min(left, _REMARK_EVERY_S)):
                return True
            if not self._output.json and left > _REMARK_EVERY_S:
                self._output.line(f"  Waiting for graceful shutdown... {left - _REMARK_EVERY_S:.0f} seconds remaining")
        _signal(info.pid, signal.SIGTERM)
        return end.wait(_AFTER_TERM_S)

    def _files(self, info: ConnectionInfo) -> dict[Path, bytes]:
        """Connection and pid file as they are, if they are to be kept: a kernel removes its own when it ends."""
        if not self._keep_files or info.id is None:
            return {}
        path = connection_path(run_directory(), info.id)
        return {file: file.read_bytes() for file in (path, path.with_suffix(".pid")) if file.exists()}


def _ask_to_end(info: ConnectionInfo, drain_s: float) -> None:
    with connected(info) as opened:
        opened.client.request(
            "shutdown_request",
            {"restart": False},
            channel="control",
            metadata={METADATA_KEY: {"drain_s": drain_s}},
            timeout_s=5.0,
        ).result()


def _signal(pid: int | None, number: signal.Signals) -> None:
    try:
        if pid is not None:
            os.kill(pid, number)
    except ProcessLookupError:
        pass  # It has just ended.


def _report(output: Output, stopped: list[_Stopped], failed: list[tuple[ConnectionInfo, LlmspellError]]) -> None:
    if output.json:
        entries: list[dict[str, Any]] = [
            {"id": one.name, "pid": one.info.pid, "forced": one.forced, "duration_ms": one.duration_ms}
            for one in stopped
        ]
        failures = [{"id": info.id, "pid": info.pid, "message": error.message} for info, error in failed]
        output.document({"stopped": entries, "failed": failures, "count": len(stopped)})
        return
    for info, error in failed:
        output.line(f"✗ Kernel {info.id or info.address}: {error.message}")
    if stopped:
        output.line()
        output.line(f"✓ Successfully stopped {len(stopped)} kernel(s)")
    elif not failed:
        output.line("No kernels found to stop")

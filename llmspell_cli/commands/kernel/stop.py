"""`llmspell kernel stop`: drains a kernel, then TERM, then KILL."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from llmspell_cli.choice import all_running, running_by_id, the_only_one
from llmspell_cli.connect import connected, remove_stale_files, run_directory
from llmspell_cli.invocation import Options
from llmspell_cli.kernels.process_end import ProcessEnd
from llmspell_cli.options import Command, Seconds
from llmspell_cli.session import Session
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running, notebooks, resolve
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound, Timeout, exit_status
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.request_options import RequestOptions

_REMARK_EVERY_S = 5.0
_AFTER_TERM_S = 2.0
_AFTER_DRAIN_S = 1.0
"""What a kernel needs when its drain is over: to answer every client and to end its workers."""


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
@click.option("--timeout", "timeout_s", type=Seconds(0), default=30.0, metavar="S", help="Patience (30).")
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
    how = _How(force=force, timeout_s=timeout_s, keep_files=no_cleanup, pid_file=Path(pid_file) if pid_file else None)
    endings = [_Ending(info, output, how) for info in targets]
    stopped: list[_Stopped] = []
    failed: list[tuple[ConnectionInfo, LlmspellError]] = []
    try:
        _ask_all(endings)
        for ending in endings:
            try:
                stopped.append(ending.finish())
            except LlmspellError as error:
                if len(endings) == 1:
                    raise
                failed.append((ending.info, error))
    except KeyboardInterrupt:
        _tell_which_go_on(output, [ending for ending in endings if ending.drains])
        raise
    _report(output, stopped, failed)
    return max((exit_status(error.code) for _, error in failed), default=0)


def _targets(options: Options, named: str | None, pid_file: str | None, *, everything: bool) -> list[ConnectionInfo]:
    """The kernels that are meant.

    Raises:
        InvalidRequest: none is named and several run, or one is named in two ways.
        NotFound: the named one does not run.
        KernelUnreachable: none runs.
    """
    if named and options.connect_named:
        raise InvalidRequest(f"two kernels are named: {options.connect} and {named}")
    if named and pid_file:
        raise InvalidRequest("Cannot specify both --id and --pid-file")
    if everything and (named or pid_file):
        raise InvalidRequest("Cannot use --all with --id or --pid-file")
    if named:
        return [running_by_id(named)]
    if pid_file:
        return [_by_pid_file(Path(pid_file))]
    if everything and options.connect_named:
        raise InvalidRequest(f"--all means this user's kernels, and --connect {options.connect} one of them at most")
    if options.connect is not None and not everything:
        return [resolve(options.connect, run_directory(), os.environ)]
    return all_running() if everything else [the_only_one("llmspell kernel stop", instead=", or --all")]


def _by_pid_file(path: Path) -> ConnectionInfo:
    """The kernel that a pid file names.

    Raises:
        NotFound: there is no such file, or what it names is no kernel of this user; nothing is done to that.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise NotFound(f"can't read {path}: {error.strerror}", details={"pid_file": str(path)}) from None
    pid = int(text) if text.isascii() and text.isdigit() else None
    for info in all_running():
        if pid is not None and info.pid == pid:
            return info
    raise NotFound(
        f"{path} names no running kernel of yours ({_instead(pid, text)})",
        hint="llmspell kernel status",
        details={"pid_file": str(path), "content": text[:40]},
    )


def _instead(pid: int | None, text: str) -> str:
    """What a pid file names instead of a kernel."""
    if pid is None:
        return f"it holds {text[:40]!r}"
    # Only a wrong pid file needs it.
    import psutil

    try:
        return f"process {pid} is {psutil.Process(pid).name()}"
    except (psutil.Error, OverflowError):
        return f"process {pid} has ended"


class _How(NamedTuple):
    """What the options ask for; `pid_file` is the one that named the kernel."""

    force: bool
    timeout_s: float
    keep_files: bool
    pid_file: Path | None


class _Stopped(NamedTuple):
    """A kernel that has ended, whether it took force, and the notebooks that shared it."""

    info: ConnectionInfo
    forced: bool
    duration_ms: int
    notebooks: tuple[str, ...]

    @property
    def name(self) -> str:
        return _name(self.info)


class _Ending:
    """The end of one kernel: `ask`, then `finish`, so that several can drain at the same time."""

    def __init__(self, info: ConnectionInfo, output: Output, how: _How) -> None:
        self.info = info
        self._output = output
        self._how = how
        self._begun = time.monotonic()
        self._kept: dict[Path, bytes] = {}
        self._answered = False
        self._pid = info.pid if info.id is not None and is_running(run_directory(), info.id) else None
        """The process, where it is one of this machine, by its lock."""
        self._end = ProcessEnd(self._pid) if self._pid is not None else None
        # By their files: a kernel that answers late, or is to be killed, has them too.
        self._notebooks = (
            tuple(one.id for one in notebooks(run_directory()) if one.kernel == info.id)
            if self._pid is not None
            else ()
        )

    @property
    def drains(self) -> bool:
        """Whether it has been asked, and has not ended yet."""
        return self._answered and self._pid is not None and is_running(run_directory(), self.info.id or "")

    def ask(self) -> None:
        """Asks a kernel of this machine to end; one that does not answer shows that in `finish`."""
        if self._pid is None:
            return
        files = {connection_path(run_directory(), self.info.id or ""), self._pid_file}
        if not self._how.force:
            try:
                with connected(self.info) as opened:
                    told = opened.ask("kernel_request", {"action": "status"}, timeout_s=2.0).content
                    if self._how.keep_files:
                        files.add(Path(told.get("pid_file") or self._pid_file))
                    self._keep(files)
                    _ask_to_end(opened, self._how.timeout_s)
                self._answered = True
            except LlmspellError:
                pass  # A signal may still reach it.
        self._keep(files)

    def finish(self) -> _Stopped:
        """Waits for the end, and brings it about when it does not come.

        Raises:
            LlmspellError: the kernel can't be reached, or can't be ended.
        """
        if not self._output.json:
            self._output.write(f"Stopping kernel {_name(self.info)}")
            self._output.write((f" (PID: {self.info.pid})" if self.info.pid else "") + "\n")
            if self._notebooks:
                names = visible(", ".join(self._notebooks))
                self._output.write(f"  Open notebooks lose their variables: {names}\n")
                self._output.write(
                    "  A frontend that restarts kernels, as Jupyter servers do, starts one for them again\n"
                )
        if self._pid is None or self._end is None:
            self._end_elsewhere()
            forced = False
        else:
            with self._end:
                forced = self._end_here(self._pid, self._end)
        if not self._output.json:
            if forced and not self._how.force:
                self._output.write("  It did not end in time and was killed\n")
            self._output.write(f"✓ Kernel {_name(self.info)} stopped successfully\n")
        return _Stopped(self.info, forced, round(1000 * (time.monotonic() - self._begun)), self._notebooks)

    def _end_here(self, pid: int, end: ProcessEnd) -> bool:
        """Ends a process of this machine; whether that took force."""
        forced = self._how.force or not self._drained(pid, end)
        if forced:
            _signal(pid, signal.SIGKILL)
            if not end.wait(_AFTER_TERM_S):
                raise Timeout(f"process {pid} does not end, not even by force: the system holds it")
            remove_stale_files()
        for path, content in self._kept.items():
            path.touch(mode=0o600)
            path.write_bytes(content)
        return forced

    def _drained(self, pid: int, end: ProcessEnd) -> bool:
        """Whether the process ended by itself: asked, or by TERM where it does not answer or takes too long."""
        deadline = self._begun + self._how.timeout_s
        if not self._answered:
            _signal(pid, signal.SIGTERM)
        while (left := deadline - time.monotonic()) > 0:
            if end.wait(min(left, _REMARK_EVERY_S)):
                return True
            if not self._output.json and left > _REMARK_EVERY_S:
                seconds = round(left - _REMARK_EVERY_S)
                self._output.write(f"  Waiting for graceful shutdown... {seconds} seconds remaining\n")
        if self._answered and end.wait(_AFTER_DRAIN_S):
            return True
        _signal(pid, signal.SIGTERM)
        return end.wait(_AFTER_TERM_S)

    def _end_elsewhere(self) -> None:
        """Asks a kernel of another machine, or another home; it has ended when the connection is over."""
        drain_s = 0.0 if self._how.force else self._how.timeout_s
        with connected(self.info) as opened:
            _ask_to_end(opened, drain_s)
            if not opened.client.wait_for_loss(drain_s + _AFTER_TERM_S):
                raise Timeout(f"the kernel at {self.info.address} has not ended in time", hint="--force, or --timeout")

    @property
    def _pid_file(self) -> Path:
        return self._how.pid_file or connection_path(run_directory(), self.info.id or "").with_suffix(".pid")

    def _keep(self, files: set[Path]) -> None:
        """Remembers the files if they are to be kept: a kernel removes its own when it ends."""
        if self._how.keep_files and not self._kept:
            self._kept = {path: path.read_bytes() for path in files if path.exists()}


def _ask_all(endings: list[_Ending]) -> None:
    """Asks every kernel at once: their drains take as long as the longest, and one that hangs delays none."""
    threads = [threading.Thread(target=ending.ask, daemon=True) for ending in endings[1:]]
    for thread in threads:
        thread.start()
    if endings:
        endings[0].ask()
    for thread in threads:
        thread.join()


def _tell_which_go_on(output: Output, draining: list[_Ending]) -> None:
    """Ctrl-C ends the waiting; what a kernel was asked can't be taken back."""
    for ending in draining:
        name = _name(ending.info)
        output.note(
            f"Kernel {name} goes on shutting down; llmspell kernel stop {name} --force ends it at once", id=name
        )


def _ask_to_end(opened: Session, drain_s: float) -> None:
    opened.client.request(
        "shutdown_request",
        {"restart": False},
        channel="control",
        metadata={METADATA_KEY: RequestOptions(drain_s=drain_s).metadata()},
        timeout_s=5.0,
    ).result()


def _name(info: ConnectionInfo) -> str:
    return visible(info.id or info.address)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # It has just ended.


def _report(output: Output, stopped: list[_Stopped], failed: list[tuple[ConnectionInfo, LlmspellError]]) -> None:
    if output.json:
        entries: list[dict[str, Any]] = [
            {
                "id": one.name,
                "pid": one.info.pid,
                "forced": one.forced,
                "duration_ms": one.duration_ms,
                "notebooks": list(one.notebooks),
            }
            for one in stopped
        ]
        failures = [{"id": info.id, "pid": info.pid, "message": error.message} for info, error in failed]
        output.document({"stopped": entries, "failed": failures, "count": len(stopped)})
        return
    for info, error in failed:
        output.lines(f"✗ Kernel {_name(info)}: {error.message}")
    if stopped:
        output.line()
        output.line(f"✓ Successfully stopped {len(stopped)} kernel(s)")
    elif not failed:
        output.line("No kernels found to stop")

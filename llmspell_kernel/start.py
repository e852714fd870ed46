"""Starts one kernel in this process, in the foreground; who wants a daemon detaches before.

With `--ready-fd N` one line of JSON goes to that descriptor when the kernel answers or has failed: the `started`
document, or `{"error": …}`. SIGTERM and Ctrl-C drain and end, the second of them at once; SIGHUP reads the
configuration again, and ends a kernel in the foreground whose terminal has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from llmspell_kernel.app import Kernel
from llmspell_kernel.directories import own_directory
from llmspell_kernel.doors.binding import bind_sockets, ipc_prefix, name_owner, remove_socket_files
from llmspell_kernel.doors.zmq import ZmqDoor
from llmspell_kernel.identity import KeyRing
from llmspell_kernel.lifecycle import RunFiles, run_directory
from llmspell_kernel.log_file import remove_empty_logs
from llmspell_kernel.logs import LEVELS, KernelLog, filters_in
from llmspell_kernel.notebook_id import notebook_id
from llmspell_kernel.parent import watch_process
from llmspell_kernel.services.kernel import KernelFiles
from llmspell_profiles.loading.loader import LoadedSettings, load_trusted
from llmspell_profiles.loading.provenance import digests, special_file
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import is_running
from llmspell_protocol.errors import Busy, Internal, InvalidRequest, LlmspellError, NotFound, Unsupported
from llmspell_protocol.standard_streams import have_standard_streams
from llmspell_protocol.version import VERSION

if TYPE_CHECKING:
    from llmspell_kernel.doors.notebook import NotebookDoor
    from llmspell_kernel.services.events.export import WriteEvent

log = logging.getLogger(__name__)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a start, from the process's own words unless given; `foreign` are words that are none of them."""
    parser = argparse.ArgumentParser(
        prog="python -m llmspell_kernel", description="Runs one kernel in the foreground.", allow_abbrev=False
    )
    parser.add_argument("-f", "--connection-file", type=Path, help="decides ports and key if it exists, else written")
    parser.add_argument("--id", help="kernel id (default: port-PORT)")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--transport", choices=("tcp", "ipc"))
    parser.add_argument("--profile")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--log-level", choices=tuple(LEVELS))
    parser.add_argument("--log-file", type=Path)
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("--idle-timeout", type=int)
    parser.add_argument("--max-clients", type=int)
    parser.add_argument("--log-rotate-size", type=int)
    parser.add_argument("--log-rotate-count", type=int)
    parser.add_argument("--log-format", choices=("text", "json"))
    parser.add_argument("--allow-remote", action="store_const", const=True)
    parser.add_argument("--daemon", action="store_true", help="log to the file only")
    parser.add_argument("--unshared", metavar="WHY", help="why a notebook that was to share a kernel has this one")
    parser.add_argument("--ready-fd", type=int, help="descriptor for the line that tells the start or its failure")
    arguments, foreign = parser.parse_known_args(words)
    arguments.foreign = foreign
    return arguments


_FLAGS = {
    "host": "kernel.host",
    "port": "kernel.port",
    "transport": "kernel.transport",
    "log_level": "runtime.log_level",
    "idle_timeout": "kernel.idle_timeout_seconds",
    "max_clients": "kernel.max_clients",
    "log_rotate_size": "kernel.log_rotate_size",
    "log_rotate_count": "kernel.log_rotate_count",
    "log_format": "kernel.log_format",
    "allow_remote": "kernel.security.allow_remote",
}


class Start:
    """One start of a kernel: settings, files, sockets, signals, in that order.

    `on_started` gets the `started` document when the kernel answers; `write_log` the lines of a kernel in the
    foreground, which go to standard error without it; `write_event` its exported events, else on standard output.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        on_started: Callable[[dict[str, Any]], None],
        write_log: Callable[[str], None] | None = None,
        write_event: WriteEvent | None = None,
    ) -> None:
        self._arguments = arguments
        self._on_started = on_started
        self._write_log = write_log
        self._write_event = write_event
        self._parent = int(os.environ.pop("JPY_PARENT_PID", "0") or 0)
        self._environment = dict(os.environ)
        # Kept: a kernel outlives the directory that it was started in.
        self._directory = Path(own_directory() or "/")
        self._loaded = self._load()
        self._run_dir = run_directory(self._loaded.home)
        self._given = self._read_given()
        self._frontend = self._given is not None and self._given.id is None
        if arguments.foreign and not self._frontend:
            words = shlex.join(arguments.foreign)
            raise InvalidRequest(f"unrecognized arguments: {words}", hint="python -m llmspell_kernel --help")
        self._id = self._choose_id()
        self._files = RunFiles(self._run_dir, self._id, pid_file=arguments.pid_file)
        self._log_file = self._choose_log_file()
        # A notebook's kernel comes and goes with its notebook: where nothing happened no log stays.
        self._news = logging.DEBUG if self._frontend else logging.INFO
        self._terminal = _has_terminal()

    def _load(self) -> LoadedSettings:
        flags = {key: getattr(self._arguments, name) for name, key in _FLAGS.items()}
        return load_trusted(
            profile=self._arguments.profile,
            config=self._arguments.config,
            env=self._environment,
            cwd=self._directory,
            flags={key: value for key, value in flags.items() if value is not None},
        )

    def _read_given(self) -> ConnectionInfo | None:
        """What an existing connection file says; a missing one is written when the kernel answers."""
        if self._arguments.connection_file is None:
            return None
        try:
            return ConnectionInfo.read(self._arguments.connection_file)
        except NotFound:
            return None

    def _choose_id(self) -> str:
        if self._arguments.id:
            return str(self._arguments.id)
        if self._frontend:
            name = self._arguments.connection_file.stem
            session = self._environment.get("JPY_SESSION_NAME", "")
            return notebook_id(name, session, partial(is_running, self._run_dir))
        port = self._loaded.settings.kernel.port
        return f"port-{port}" if port else f"pid-{os.getpid()}"

    def _choose_log_file(self) -> Path:
        named: Path | None = self._arguments.log_file
        if named is None:
            return self._loaded.home / "logs" / f"kernel-{self._id}.log"
        return named if named.suffix == ".log" else named / f"kernel-{self._id}.log"

    def run(self) -> None:
        """Serves until the end."""
        for_people = not self._arguments.daemon and not self._frontend
        kernel_log = KernelLog(
            file=self._log_file,
            stderr=for_people and self._write_log is None,
            write=self._write_log if for_people else None,
            filters="" if self._arguments.log_level else filters_in(self._environment),
        )
        kernel_log.apply(self._loaded.settings)
        self._files.claim()
        remove_empty_logs(self._log_file.parent, self._run_dir)
        try:
            asyncio.run(self._serve(kernel_log))
        finally:
            defect = sys.exception()
            if isinstance(defect, Exception) and not isinstance(defect, LlmspellError):
                # A daemon's standard error may have no reader.
                log.error("kernel %s ends by a defect", self._id, exc_info=defect)
            self._files.release()
            kernel_log.close()

    async def _serve(self, kernel_log: KernelLog) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        wanted = self._wanted()
        try:
            info, sockets = bind_sockets(wanted, context)
        except LlmspellError as error:
            if self._given is None:
                remove_socket_files(wanted)
            if isinstance(error, Busy):
                raise name_owner(error, self._run_dir) from None
            raise
        kernel = Kernel(
            self._loaded,
            info,
            [ZmqDoor(info, sockets, KeyRing(info.key.encode()))],
            environment=self._environment,
            reload=self._load,
            kernel_log=kernel_log,
            files=KernelFiles(
                connection_file=self._files.connection_file, pid_file=self._files.pid_file, log_file=self._log_file
            ),
            idle_timeout=not self._frontend,
            write_event=self._write_event,
            make_door=None if self._frontend else partial(_notebook_door, context),
        )
        self._handle_signals(kernel)
        if self._frontend:
            kernel.expect_script()
        unshared = self._arguments.unshared
        if unshared is not None:
            kernel.say_first(f"llmspell: this notebook has a kernel and models of its own: {unshared}")

        def ready() -> None:
            # Not before: a start that fails leaves no empty log.
            kernel_log.open()
            self._files.publish(info, None if self._frontend else self._arguments.connection_file)
            log.log(self._news, "kernel %s (PID %d) answers on %s", self._id, os.getpid(), info.address)
            if unshared is not None:
                log.warning("this notebook shares no kernel: %s", unshared)
            if self._arguments.foreign:
                # Frontends hand on what their users wrote behind their own options.
                log.info("words of the frontend that mean nothing here: %s", shlex.join(self._arguments.foreign))
            self._on_started(self._started(info))
            # What the start has made stays: collections need not look at it again.
            gc.freeze()
            gc.enable()

        try:
            await kernel.serve(ready)
            log.log(self._news, "kernel %s has ended", self._id)
        finally:
            _ignore_signals()
            context.term()
            remove_socket_files(info)

    def _wanted(self) -> ConnectionInfo:
        settings = self._loaded.settings.kernel
        key = secrets.token_hex(32)
        if self._given is not None:
            wanted = self._given
        elif settings.transport == "ipc":
            prefix = ipc_prefix(self._environment.get("XDG_RUNTIME_DIR"), self._id)
            wanted = ConnectionInfo.consecutive(prefix, 1, key)._replace(transport="ipc")
        elif settings.port:
            wanted = ConnectionInfo.consecutive(settings.host, settings.port, key)
        else:
            wanted = ConnectionInfo(ip=settings.host, key=key)
        if wanted.transport == "tcp" and settings.security.curve == "required":
            raise Unsupported(
                "kernel.security.curve is 'required', and this version can't encrypt connections",
                hint='kernel.transport = "ipc" keeps them within this user\'s account',
            )
        if wanted.transport == "tcp" and settings.security.allow_remote:
            raise Unsupported(
                "other machines may connect only with CURVE keys, and this version has none yet",
                hint="without --allow-remote (kernel.security.allow_remote), reach 127.0.0.1 through ssh -L",
                details={"key": "kernel.security.allow_remote"},
            )
        started_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return wanted._replace(
            id=self._id,
            pid=os.getpid(),
            started_at=started_at,
            version=VERSION,
            frontend=self._frontend,
            chosen=self._chosen,
            config_file=None if self._chosen else special_file(self._environment, str(self._directory)),
            variables=digests(self._environment, wanted.key),
        )

    @property
    def _chosen(self) -> bool:
        """Whether the command that started it has named a profile or a file."""
        return self._arguments.profile is not None or self._arguments.config is not None

    def _handle_signals(self, kernel: Kernel) -> None:
        def end() -> None:
            drain_s = 0.0 if kernel.drain.begun else kernel.service.drain_timeout_s
            if kernel.requests.working and not kernel.drain.begun:
                # Without it Ctrl-C would seem to do nothing.
                log.warning("waiting for what still runs, %g s at most; a second signal ends it at once", drain_s)
            kernel.drain.begin(drain_s)

        def reload() -> None:
            if self._terminal and not _has_terminal():
                end()
                return
            try:
                reloaded = kernel.service.reload()
            except LlmspellError as error:
                log.error("the configuration is not reloaded, the old settings stay: %s", error.message)
                return
            for warning in reloaded.warnings:
                log.warning("%s", warning)
            if reloaded.restart_needed:
                log.warning("changed, but needs a restart: %s", ", ".join(reloaded.restart_needed))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, end)
        loop.add_signal_handler(signal.SIGINT, kernel.interrupt if self._frontend else end)
        loop.add_signal_handler(signal.SIGHUP, reload)
        if self._parent:
            watch_process(self._parent, lambda: kernel.drain.begin(0))

    def _started(self, info: ConnectionInfo) -> dict[str, Any]:
        return {
            "status": "started",
            "id": self._id,
            "pid": os.getpid(),
            "host": info.ip,
            "port": info.shell_port,
            "ports": dict(info.ports),
            "transport": info.transport,
            "connection_file": str(self._files.connection_file),
            "pid_file": str(self._files.pid_file),
            "log_file": str(self._log_file),
            "daemon": self._arguments.daemon,
            "url": info.to_url() if info.transport == "tcp" else None,
            "warnings": list(self._loaded.warnings),
        }


def _notebook_door(context: zmq.Context[zmq.Socket[bytes]], info: ConnectionInfo, notebook: str) -> NotebookDoor:
    # Few kernels are shared by notebooks.
    from llmspell_kernel.doors.notebook import NotebookDoor

    return NotebookDoor(info, context, notebook)


class ReadyPipe:
    """Where the one line goes that a starter waits for, if one waits; what comes later is not told."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    @property
    def open(self) -> bool:
        """Whether the starter still waits."""
        return self._fd is not None

    def tell(self, document: dict[str, Any]) -> None:
        """Writes the line and closes the pipe."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")
        except OSError:
            pass  # The starter has gone, or its file is full; the kernel's files tell the same.


def main() -> int:
    """Runs a kernel; returns the exit status."""
    have_standard_streams()
    arguments = parse_arguments()
    pipe = ReadyPipe(arguments.ready_fd)
    try:
        Start(arguments, pipe.tell).run()
    except LlmspellError as error:
        if pipe.open:
            pipe.tell({"error": error.to_content()})
        else:
            print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201 — there is no other channel yet
            if error.hint:
                print(f"Hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    finally:
        # A defect: the traceback goes to standard error, and the waiting starter is told too.
        if (defect := sys.exception()) is not None:
            message = f"the kernel could not start: {type(defect).__name__}: {defect}"
            pipe.tell({"error": Internal(message).to_content()})
    return 0


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _ignore_signals() -> None:
    """At the end a signal could only keep the files from being removed; the loop's own end would let it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)

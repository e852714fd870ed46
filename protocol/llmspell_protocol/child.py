"""One child process with a pair of frame pipes: spawn, send, receive, end. Used for every kind of worker.

`Child` is the kernel's side and belongs to one asyncio loop; `connect_parent` is the child's first call. A child has
a process group of its own (a terminal's Ctrl-C must not reach it), an environment that is built and not inherited, no
standard input, and standard output and error in a log file. It ends when its pipe closes and, on Linux, by the death
signal of the thread that spawned it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_protocol.frames import Frame, FrameBuffer, FramePipe, FrameTooLarge, NotAFrame, pack_frame
from llmspell_protocol.standard_streams import have_lenient_stderr
from llmspell_protocol.worker_memory import hold_to

if TYPE_CHECKING:
    import asyncio
    import subprocess
    from pathlib import Path

PIPE_VARIABLE = "LLMSPELL_WORKER_PIPE"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that every child may see; the parent names all others."""


def base_environment() -> dict[str, str]:
    """The environment of a child before its own additions: no keys, no settings, no Python options."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


class Spawned:
    """A process that runs already and that no loop reads from yet: `Child.attach` begins to."""

    __slots__ = ("process", "read_fd", "write_fd")

    def __init__(self, process: subprocess.Popen[bytes], read_fd: int, write_fd: int) -> None:
        self.process = process
        self.read_fd = read_fd
        self.write_fd = write_fd


def spawn(
    module: str,
    *,
    environment: Mapping[str, str],
    log_path: Path | None,
    memory_bytes: int | None = None,
    arguments: tuple[str, ...] = (),
) -> Spawned:
    """Starts `python -m module`, without a loop; call on the thread that the child may not outlive.

    `environment` is added to `base_environment()`; output goes to the end of `log_path` (None: nowhere, and so it does
    with a warning where that can't be written: a worker is worth more than its log). The child holds itself,
    and what it starts, to `memory_bytes` of private memory each (see `worker_memory`; None: no limit).
    """
    # Only a parent needs them; a child that imports this module has to start in milliseconds.
    import subprocess

    from llmspell_protocol.worker_logs import open_log

    log_fd = open_log(log_path)
    try:
        down_read, down_write = os.pipe()
    except OSError:
        os.close(log_fd)
        raise
    try:
        up_read, up_write = os.pipe()
    except OSError:
        for fd in (log_fd, down_read, down_write):
            os.close(fd)
        raise
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            env={
                **base_environment(),
                # With -S and the path handed over, the interpreter skips site and its .pth files.
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
                **environment,
                PIPE_VARIABLE: f"{down_read},{up_write},{os.getpid()},{memory_bytes or 0}",
            },
            pass_fds=(down_read, up_write),
            process_group=0,
        )
    except BaseException:
        os.close(down_write)
        os.close(up_read)
        raise
    finally:
        os.close(down_read)
        os.close(up_write)
        os.close(log_fd)
    return Spawned(process, up_read, down_write)


class Child:
    """A running worker process and the pipes to it; all methods belong to the loop that spawned it."""

    def __init__(
        self,
        spawned: Spawned,
        on_frame: Callable[[Frame], None],
        on_exit: Callable[[int], None],
        loop: asyncio.AbstractEventLoop,
        kill: Callable[[int], None] | None = None,
    ) -> None:
        self._kill = kill
        self.process = spawned.process
        self.exited: asyncio.Future[int] = loop.create_future()
        self._read_fd = spawned.read_fd
        self._write_fd = spawned.write_fd
        self._on_frame = on_frame
        self._on_exit = on_exit
        self._loop = loop
        self._buffer = FrameBuffer()
        self._unsent = bytearray()
        self._closed = False
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        # Only this side needs it; a child that imports this module has to start in milliseconds.
        from contextvars import Context

        # In a context of its own: what a later frame brings is not for the request that happened to spawn the child.
        Context().run(loop.add_reader, self._read_fd, self._readable)

    @classmethod
    def spawn(
        cls,
        module: str,
        *,
        environment: Mapping[str, str],
        log_path: Path | None,
        memory_bytes: int | None = None,
        on_frame: Callable[[Frame], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
        arguments: tuple[str, ...] = (),
        kill: Callable[[int], None] | None = None,
    ) -> Child:
        """Starts `python -m module` as `spawn` does; call on the loop's thread.

        `on_frame` gets each frame in order; `on_exit` gets the exit status (negative: the signal) once, after the last
        frame; without them a later `hand_over` says who does. `kill` ends the process, by its id, where more than the
        process has to end.
        """
        spawned = spawn(
            module, environment=environment, log_path=log_path, memory_bytes=memory_bytes, arguments=arguments
        )
        return cls.attach(spawned, on_frame, on_exit, kill)

    @classmethod
    def attach(
        cls,
        spawned: Spawned,
        on_frame: Callable[[Frame], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
        kill: Callable[[int], None] | None = None,
    ) -> Child:
        """Takes a process over that `spawn` has started on this thread; from here on it belongs to its running loop."""
        # As above.
        import asyncio

        return cls(spawned, on_frame or _unheard, on_exit or _unheard, asyncio.get_running_loop(), kill)

    def hand_over(self, on_frame: Callable[[Frame], None], on_exit: Callable[[int], None]) -> None:
        """From here on these hear it: for a child that was started before its owner."""
        self._on_frame = on_frame
        self._on_exit = on_exit

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not been seen to end."""
        return not self.exited.done()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Queues one frame; what a dead child no longer reads is dropped, since `on_exit` tells."""
        if self._closed:
            return
        data = pack_frame(frame)
        if not self._unsent:
            try:
                sent = os.write(self._write_fd, data)
            except BlockingIOError:
                sent = 0
            except BrokenPipeError:
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._write_fd, self._writable)
        self._unsent += data

    def kill(self) -> None:
        """Ends the process at once (SIGKILL)."""
        if self.process.poll() is not None:
            return
        if self._kill is not None:
            self._kill(self.pid)
        else:
            self.process.kill()

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM)."""
        if self.process.poll() is None:
            self.process.terminate()

    async def end(self, grace_s: float = 2.0) -> int:
        """Ends the process in order: close the pipe, wait, TERM, wait, KILL. Returns the exit status."""
        import asyncio

        self._close_write()
        for step in (self.terminate, self.kill):
            done, _ = await asyncio.wait([self.exited], timeout=grace_s / 2)
            if done:
                break
            step()
        return await asyncio.shield(self.exited)

    def _readable(self) -> None:
        try:
            data = os.read(self._read_fd, 1 << 18)
        except BlockingIOError:
            return
        if not data:
            self._finish()
            return
        frames = self._buffer.feed(data)
        try:
            while (frame := _next_of(frames)) is not None:
                self._hear(frame)
        except NotAFrame:
            # A worker that has lost its place in the stream can't be trusted with another byte: its end is told.
            # Seldom needed, and a child that imports this module has to start in milliseconds.
            import logging

            log = logging.getLogger(__name__)
            log.exception("the worker with process id %d sent what is not a frame, and is ended", self.pid)
            self.kill()

    def _hear(self, frame: Frame) -> None:
        """Passes a frame on; what goes wrong with one is no fault of the worker's, and the next ones are heard."""
        try:
            self._on_frame(frame)
        except NotAFrame:
            raise
        except Exception:
            # As above.
            import logging

            from llmspell_protocol.incidents import incident_number

            log = logging.getLogger(__name__)
            told = "incident %s: a frame '%s' of the worker with process id %d can't be handled"
            log.exception(told, incident_number(), frame["op"], self.pid)

    def _writable(self) -> None:
        try:
            sent = os.write(self._write_fd, self._unsent)
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent.clear()
            sent = 0
        del self._unsent[:sent]
        if not self._unsent and not self._closed:
            self._loop.remove_writer(self._write_fd)

    def _close_write(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._unsent:
            self._loop.remove_writer(self._write_fd)
        os.close(self._write_fd)

    def _finish(self) -> None:
        self._loop.remove_reader(self._read_fd)
        os.close(self._read_fd)
        self._close_write()
        status = self.process.poll()
        if status is not None:
            self._reaped(status)
            return
        # The pipe's end is the process's end but for a moment; one that closes its pipe and stays is ended.
        self._loop.call_later(1.0, self.kill)
        end_fd = _end_descriptor(self.process.pid)
        if end_fd is not None:
            self._loop.add_reader(end_fd, self._ended, end_fd)
        else:
            waiting = self._loop.run_in_executor(None, self.process.wait)
            waiting.add_done_callback(lambda done: self._reaped(done.result()))

    def _ended(self, end_fd: int) -> None:
        self._loop.remove_reader(end_fd)
        os.close(end_fd)
        self._reaped(self.process.wait())

    def _reaped(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)
        self._on_exit(status)


def _next_of(frames: Iterator[Frame]) -> Frame | None:
    """The next whole frame; None where there is none yet. Raises `NotAFrame`."""
    try:
        frame = next(frames, None)
    except (FrameTooLarge, ValueError, TypeError, LookupError) as problem:
        raise NotAFrame(str(problem)) from problem
    if frame is not None and not (isinstance(frame, dict) and isinstance(frame.get("op"), str)):
        raise NotAFrame("a map with an op is needed")
    return frame


def _unheard(_: Frame | int) -> None:
    """A worker says nothing unasked, and one that ended is not `alive`."""


def _end_descriptor(pid: int) -> int | None:
    """A descriptor that is readable when the process has ended; None where there is none and a thread has to wait."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # A container may forbid it.


def connect_parent() -> FramePipe:
    """The child's first call: its pipe to the kernel, with SIGINT ignored, death signal and memory limit set.

    Standard error, which is a log, never fails from here on: a full disk ends no worker.

    Raises:
        RuntimeError: the process was not started by `Child.spawn`.
    """
    value = os.environ.pop(PIPE_VARIABLE, "")
    try:
        read_fd, write_fd, parent, memory_bytes = (int(part) for part in value.split(","))
    except ValueError:
        raise RuntimeError(
            f"this is a worker process of a kernel and is started by it ({PIPE_VARIABLE} is not set)"
        ) from None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit("the kernel ended before its worker began")
    if memory_bytes:
        hold_to(memory_bytes)
    for fd in (read_fd, write_fd):
        os.set_inheritable(fd, False)
    have_lenient_stderr()
    return FramePipe(read_fd, write_fd)

"""A kernel inside the process of a command: the same kernel, in a thread, over inproc; it touches no signals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from llmspell_protocol.connection import ConnectionInfo

if TYPE_CHECKING:
    import asyncio

    from llmspell_kernel.app import Kernel
    from llmspell_kernel.services.events.export import WriteEvent
    from llmspell_profiles.loading.loader import LoadedSettings
    from llmspell_protocol.child import Child, Spawned

_DRAIN_S = 2.0


class EmbeddedKernel:
    """A running embedded kernel; `info` and `context` are what a client connects with."""

    def __init__(
        self,
        profile: str | None,
        config: Path | None,
        env: Mapping[str, str],
        cwd: Path,
        log_level: str | None,
        log: Callable[[str], None] | None,
        expect_script: bool,
        write_event: WriteEvent | None,
    ) -> None:
        self.info = ConnectionInfo.inproc(f"embedded-{os.getpid()}")
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.warnings: tuple[str, ...] = ()
        self._arguments = (profile, config, dict(env), cwd)
        self._flags = {"runtime.log_level": log_level} if log_level is not None else None
        self._log = log
        self._expect_script = expect_script
        self._write_event = write_event
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="llmspell-kernel", daemon=True)

    @classmethod
    def start(
        cls,
        *,
        profile: str | None = None,
        config: Path | None = None,
        env: Mapping[str, str],
        cwd: Path,
        log_level: str | None = None,
        log: Callable[[str], None] | None = None,
        expect_script: bool = False,
        write_event: WriteEvent | None = None,
    ) -> EmbeddedKernel:
        """Starts the thread and returns at once; `wait` tells when the kernel answers.

        `log` gets the lines of the log, on the kernel's thread; `log_level` goes before the configured one;
        `expect_script` starts a script's worker ahead of its request, and of all else. `write_event` gets exported
        events, on a thread of its own; without it they go to standard output.
        """
        kernel = cls(profile, config, env, cwd, log_level, log, expect_script, write_event)
        kernel._thread.start()
        return kernel

    def wait(self) -> None:
        """Waits until the kernel answers.

        Raises:
            LlmspellError: the configuration is wrong, or the kernel could not start.
        """
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drains, two seconds at most, then ends every worker; safe to call twice."""
        # Before that there is no loop that could be told.
        self._ready.wait()
        if self._loop is not None and self._stop_requested is not None and self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._stop_requested.set)
            except RuntimeError:
                pass  # The loop has just ended by itself.
        self._thread.join()
        # Not `term`, which would wait for sockets that are never closed: those of a start that failed half-way,
        # or of a client whose closing was interrupted.
        self.context.destroy(linger=0)

    def _run(self) -> None:
        # Ctrl-C is the command's: taken by this thread, it would not end what the main thread waits in.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            # Before everything else, asyncio too: it starts on another core while this one imports and reads settings.
            launched = self._launch_worker() if self._expect_script else None
            import asyncio

            asyncio.run(self._serve(launched))
        except BaseException as error:  # noqa: BLE001 — it belongs to the thread that waits for this one
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self, spawned: Spawned | None) -> None:
        # The modules that this needs are imported on this thread, and not while the command waits for it to start.
        from llmspell_protocol.child import Child

        launched = Child.attach(spawned) if spawned is not None else None
        try:
            await self._serve_with(launched)
        finally:
            if launched is not None and launched.alive:
                launched.kill()
                await launched.end()

    def _launch_worker(self) -> Spawned:
        from llmspell_kernel.scripting.launch import launch_early
        from llmspell_profiles.loading.home import llmspell_home

        _profile, _config, env, _cwd = self._arguments
        return launch_early(llmspell_home(env) / "logs")

    async def _serve_with(self, launched: Child | None) -> None:
        import asyncio

        from llmspell_kernel.app import Kernel
        from llmspell_kernel.doors.binding import bind_sockets
        from llmspell_kernel.doors.zmq import ZmqDoor
        from llmspell_kernel.identity import KeyRing
        from llmspell_kernel.logs import KernelLog, filters_in
        from llmspell_profiles.loading.loader import load_trusted
        from llmspell_protocol.worker_logs import tell_unwritable_logs

        profile, config, env, cwd = self._arguments

        def load() -> LoadedSettings:
            return load_trusted(profile=profile, config=config, env=env, cwd=cwd, flags=self._flags)

        loaded = load()
        filters = "" if self._flags else filters_in(env)
        kernel_log = (
            KernelLog(write=self._log, filters=filters, only_warnings=not self._flags)
            if self._log is not None
            else None
        )
        if kernel_log is not None:
            kernel_log.apply(loaded.settings)
            tell_unwritable_logs()
        self.warnings = loaded.warnings
        self._loop = asyncio.get_running_loop()
        self._stop_requested = asyncio.Event()
        _info, sockets = bind_sockets(self.info, self.context)
        kernel = Kernel(
            loaded,
            self.info,
            [ZmqDoor(self.info, sockets, KeyRing(self.info.key.encode()))],
            environment=env,
            reload=load,
            kernel_log=kernel_log,
            standing=False,
            write_event=self._write_event,
        )
        if launched is not None:
            kernel.expect_script(launched)
        stopper = asyncio.create_task(self._stop_when_asked(kernel))
        try:
            await kernel.serve(self._ready.set)
        finally:
            stopper.cancel()

    async def _stop_when_asked(self, kernel: Kernel) -> None:
        assert self._stop_requested is not None
        await self._stop_requested.wait()
        kernel.drain.begin(_DRAIN_S)

"""Finds or starts the kernel that a command talks to. The only file here that may import the kernel, and only lazily.

Without a target a kernel is started in this process, in a thread, and reached over inproc; with one, a running kernel
is reached over tcp or ipc. From there on both are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmspell_cli.endings import end_in_order
from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.session import Session, document
from llmspell_cli.terminal.output import Output
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve, running_kernels
from llmspell_protocol.errors import InvalidRequest, KernelUnreachable

if TYPE_CHECKING:
    from pathlib import Path

START_HINT = "llmspell kernel start --daemon"


@contextmanager
def session(options: Options, output: Output, *, runs_script: bool = False) -> Iterator[Session]:
    """A session with the kernel that the options name, or with one of this command's own.

    `runs_script`: a script will be run, so a kernel of one's own starts its worker beside itself.
    """
    if options.connect is None:
        with _embedded(options, output, runs_script) as opened:
            yield opened
    else:
        # Enough to find it; `run_directory` would import pathlib.
        from llmspell_profiles.loading.home import home_text

        with connected(resolve(options.connect, os.path.join(home_text(os.environ), "run"), os.environ)) as opened:
            _tell_what_is_not_applied(opened, options, output)
            yield opened


@contextmanager
def resident_session(options: Options, output: Output) -> Iterator[Session]:
    """A session with a kernel that outlives the command: the named one, else the one that runs.

    Raises:
        KernelUnreachable: no kernel is running.
        InvalidRequest: several are, and none was named.
    """
    if options.connect is not None:
        with session(options, output) as opened:
            yield opened
        return
    running = running_kernels(run_directory())
    if not running:
        raise KernelUnreachable("no kernel is running", hint=START_HINT)
    if len(running) > 1:
        raise several_kernels([info.id or info.address for info in running], "add --connect")
    with connected(running[0]) as opened:
        yield opened


@contextmanager
def connected(info: ConnectionInfo, *, timeout_s: float = 2.0) -> Iterator[Session]:
    """A session with a running kernel."""
    with Client(info) as client:
        yield Session(client.connect(timeout_s), "connected")


def several_kernels(names: Iterable[str], advice: str) -> InvalidRequest:
    """The error where one running kernel is needed and several could be meant; `advice` goes before a name."""
    ids = sorted(names)
    return InvalidRequest(
        f"several kernels are running: {', '.join(ids)}", hint=f"{advice} {ids[0]}", details={"running": ids}
    )


def run_directory() -> Path:
    """Where this user's kernels write their files."""
    from llmspell_profiles.loading.home import llmspell_home

    return llmspell_home(os.environ) / "run"


def remove_stale_files() -> None:
    """Clears what kernels that died have left in the run directory."""
    from llmspell_kernel.lifecycle import remove_stale_files as remove

    remove(run_directory())


def stale_engine_directories() -> list[Path]:
    """Directories of engines' sockets that killed commands and kernels have left."""
    from llmspell_kernel.lifecycle import engine_leftovers

    return engine_leftovers()


def remove_stale_engine_directories() -> None:
    """Clears them."""
    from llmspell_kernel.lifecycle import remove_engine_leftovers

    remove_engine_leftovers()


def run_kernel(
    words: list[str], on_started: Callable[[Mapping[str, Any]], None], write_log: Callable[[str], None]
) -> None:
    """Runs a kernel in this process, in the foreground, until it is stopped; `words` are its own options.

    Raises:
        LlmspellError: it can't start.
    """
    from llmspell_kernel.pydantic_plugins import leave_out_plugins
    from llmspell_kernel.start import Start, parse_arguments

    leave_out_plugins()
    Start(parse_arguments(words), on_started, write_log).run()


@contextmanager
def _embedded(options: Options, output: Output, runs_script: bool) -> Iterator[Session]:
    from pathlib import Path

    # A kernel of one's own is what most of the start-up time goes to, so its thread starts before anything else.
    from llmspell_kernel.embedded import EmbeddedKernel
    from llmspell_kernel.pydantic_plugins import leave_out_plugins

    leave_out_plugins()
    end_in_order()
    kernel = EmbeddedKernel.start(
        profile=options.profile,
        config=Path(options.config) if options.config is not None else None,
        env=os.environ,
        cwd=Path(working_directory()),
        log_level=options.trace,
        log=output.log,
        expect_script=runs_script,
    )
    opened: Session | None = None
    try:
        kernel.wait()
        for warning in kernel.warnings:
            output.warning(warning)
        with Client(kernel.info, context=kernel.context) as client:
            opened = Session(client.connect(), "embedded")
            yield opened
    finally:
        if opened is None or not opened.hurry:
            kernel.stop()


def _tell_what_is_not_applied(opened: Session, options: Options, output: Output) -> None:
    named = f"profile '{options.profile}'" if options.profile else f"configuration '{options.config}'"
    if not options.profile and not options.config:
        return
    status = document(opened.ask("kernel_request", {"action": "status"}))
    theirs = status.get("profile") or status.get("config_file")
    if theirs is None:
        output.warning(f"{named} is not applied to the connected kernel (it runs without one)")
    elif theirs not in (options.profile, options.config):
        output.warning(f"{named} is not applied to the connected kernel (it runs with '{theirs}')")

"""Reaches or starts the kernel that a command talks to. The only file here that may import the kernel, and only lazily.

A running kernel is reached over tcp or ipc; where none is named and none can be used, one is started in this process,
in a thread, and reached over inproc. From there on both are the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.choice import BACKGROUND_ID, Candidates, candidates, directory, run_directory_text, wish
from llmspell_cli.endings import end_in_order
from llmspell_cli.invocation import AUTO, EMBEDDED, Collected, Options, working_directory
from llmspell_cli.session import Session, document
from llmspell_cli.terminal.output import DIM, Output, fitted, styled
from llmspell_cli.terminal.visible import visible_lines
from llmspell_profiles.loading.provenance import special_file
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import none_runs, resolve
from llmspell_protocol.errors import InvalidRequest, KernelUnreachable, LlmspellError

if TYPE_CHECKING:
    from pathlib import Path


ANSWERS_WITHIN_S = 0.2
"""How long a kernel that was not named may take to answer before a command goes on without it."""

CONNECT_WITHIN_S = 2.0
"""The same for one that was named, or that was started for this command."""


@contextmanager
def session(
    options: Options, output: Output, *, runs_script: bool = False, own: bool = False, needs_model: bool = False
) -> Iterator[Session]:
    """A session with the kernel that the options name, else with one that runs, else with one of this command's own.

    `runs_script`: a script will be run, so a kernel of one's own starts its worker beside itself. `own`: the command is
    about this command line's own configuration, so only a named kernel counts. `needs_model`: where none runs, one may
    be started that goes on (`cli.autostart`).
    """
    with ExitStack() as stack:
        if options.connect is not None:
            opened = stack.enter_context(connected(_resolved(options.connect)))
            _tell_what_is_not_applied(opened, options, output)
        else:
            running = None if own else _running(stack, options, output, needs_model)
            opened = running or stack.enter_context(_embedded(options, output, runs_script))
        _tell_origin(opened, output)
        yield opened


@contextmanager
def resident_session(
    options: Options, output: Output, *, needs_model: bool = False, about_loaded: bool = False
) -> Iterator[Session]:
    """A session with a kernel that outlives the command: the named one, else the newest that runs.

    `about_loaded`: the command is about what is loaded, which is nothing where no kernel runs.

    Raises:
        KernelUnreachable: no kernel is running.
        InvalidRequest: `--embedded`, which this can't mean.
    """
    if options.embedded_named:
        raise InvalidRequest("what this command is about ends with a kernel of its own", hint="drop --embedded")
    if options.connect is not None or wish(options) not in (AUTO, EMBEDDED):
        with session(options, output) as named:
            yield named
        return
    with ExitStack() as stack:
        found, patience_s = _found(output, needs_model)
        opened = _first_that_answers(stack, found, options, output, patience_s)
        if opened is None and found:
            opened = _the_newest(stack, found, output)
        if opened is None:
            raise _nothing_loaded() if about_loaded else none_runs(run_directory_text())
        _tell_what_is_not_applied(opened, options, output)
        _tell_origin(opened, output)
        yield opened


def _nothing_loaded() -> KernelUnreachable:
    error = none_runs(run_directory_text())
    # To start one would load nothing.
    hint = error.hint if error.details.get("notebooks") else None
    return KernelUnreachable(f"nothing is loaded: {error.message}", hint=hint, details=error.details)


def _tell_origin(opened: Session, output: Output) -> None:
    """Lets documents, and the words of a failure, say which kernel it was."""
    output.origin = opened.origin
    ctx = click.get_current_context(silent=True)
    said = ctx.find_object(Collected) if ctx is not None else None
    if said is not None:
        said.kernel = opened.kernel


def _running(stack: ExitStack, options: Options, output: Output, needs_model: bool) -> Session | None:
    """A session with a kernel that runs, where the command names none and may use one; never fails for want of one."""
    wanted = wish(options)
    if wanted == EMBEDDED:
        return None
    if wanted == AUTO:
        found, patience_s = _found(output, needs_model)
        return _first_that_answers(stack, found, options, output, patience_s)
    try:
        return stack.enter_context(connected(_resolved(wanted)))
    except LlmspellError as error:
        error.hint = f"the setting cli.connect names it; --embedded goes without, or: {error.hint}"
        raise


def _first_that_answers(
    stack: ExitStack, found: Candidates, options: Options, output: Output, patience_s: float
) -> Session | None:
    told = options.trace in ("info", "debug", "trace")
    for info, why in found.others if told else ():
        output.log(f"kernel {info.id} is not used: {why}")
    for info in found.fit:
        try:
            opened = stack.enter_context(connected(info, timeout_s=patience_s))
        except LlmspellError as error:
            why = error.message
        else:
            if not opened.draining:
                if told:
                    output.log(f"kernel {info.id} at {info.address} is used")
                return opened
            why = "it is shutting down"
        if told:
            output.log(f"kernel {info.id} is not used: {why}")
    if told:
        output.log("no running kernel is used; this command starts its own")
    elif found.others and not found.fit:
        _tell_of_the_file(found.others[0], output)
    return None


def _tell_of_the_file(newest: tuple[ConnectionInfo, str], output: Output) -> None:
    """Says at a terminal that a kernel runs and isn't used because of this directory's file."""
    info, why = newest
    here = special_file(os.environ, directory())
    if here is None or info.config_file == here or output.json or not (output.terminal and sys.stderr.isatty()):
        return
    from llmspell_cli.terminal.text import home_path

    said = why.replace(here, home_path(here))
    text = f"kernel {info.id} is left alone: {said}; --connect {info.id} uses it"
    output.shown_note(styled(fitted(visible_lines(text), sys.stderr), DIM, sys.stderr, output.color))


def _found(output: Output, needs_model: bool) -> tuple[Candidates, float]:
    """The kernels that run, and how long one may take to answer.

    Where none runs and a model is needed, one is started if the user wants that.
    """
    found = candidates()
    if not needs_model or (found and found.newest_id != BACKGROUND_ID):
        return found, ANSWERS_WITHIN_S
    if found:
        return found, CONNECT_WITHIN_S  # It may have been started a moment ago, by another command.
    # Few commands start one.
    from llmspell_cli.daemon.background import started_in_background

    return started_in_background(output), CONNECT_WITHIN_S


def _the_newest(stack: ExitStack, found: Candidates, output: Output) -> Session:
    """A session with the newest kernel, which other commands here do not use, or which takes long to answer."""
    if found.fit:
        return stack.enter_context(connected(found.fit[0]))
    info, why = found.others[0]
    output.warning(f"kernel {info.id} is not what other commands here use: {why}")
    return stack.enter_context(connected(info))


def _resolved(target: str) -> ConnectionInfo:
    return resolve(target, run_directory_text(), os.environ)


@contextmanager
def connected(info: ConnectionInfo, *, timeout_s: float = CONNECT_WITHIN_S) -> Iterator[Session]:
    """A session with a running kernel."""
    with Client(info) as client:
        yield Session(client.connect(timeout_s), "connected")


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


def run_kernel(words: list[str], on_started: Callable[[Mapping[str, Any]], None], output: Output) -> None:
    """Runs a kernel in this process, in the foreground, until it is stopped; `words` are its own options.

    Raises:
        LlmspellError: it can't start.
    """
    from llmspell_kernel.pydantic_plugins import leave_out_plugins
    from llmspell_kernel.start import Start, parse_arguments

    leave_out_plugins()
    Start(parse_arguments(words), on_started, output.log, output.exported).run()


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
        write_event=output.exported,
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

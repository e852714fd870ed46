"""`llmspell kernel status`: the kernels of this user, found by their files and asked side by side."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from typing import NamedTuple

import click

from llmspell_cli.choice import all_running, running_by_id
from llmspell_cli.connect import remove_stale_files, run_directory
from llmspell_cli.invocation import Options
from llmspell_cli.kernels.kernel_figures import figures, figures_of_all
from llmspell_cli.kernels.process_end import sleep_until_one_ends
from llmspell_cli.options import Command, Seconds, collected
from llmspell_cli.session import Content
from llmspell_cli.terminal.live_screen import LiveScreen
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import duration, home_path, size
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve
from llmspell_protocol.errors import InvalidRequest, NotFound

_HEADERS = ("ID", "PID", "Port", "Status", "CPU%", "Memory", "Clients", "Models", "Uptime")
_NOTEBOOK_HEADERS = ("Notebook", "Kernel", "State", "Cells", "Memory", "Models")
_NONE_RUNS = 3


def _format(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        collected(ctx).prefer("pretty" if value == "table" else value)
    return value


class _Selection(NamedTuple):
    """What is shown, and of which kernels. `one_line`: a line each instead of a table."""

    kernel_id: str | None
    one_line: bool
    quiet: bool
    url: bool


@click.command(
    "status",
    cls=Command,
    examples=(
        ("llmspell kernel status", "all kernels of yours"),
        ("llmspell kernel status port-9555", "everything about one"),
        ("llmspell kernel status --watch --interval 2", "again and again"),
        ("llmspell kernel status -q port-9555 && echo up", "in scripts"),
    ),
)
@click.option("-i", "--id", "named", metavar="ID", help="The kernel; same as the argument.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", "json", "text"]),
    metavar="FORMAT",
    callback=_format,
    help="table (default), json or text.",
)
@click.option("-q", "--quiet", is_flag=True, help="Ids only; exit status 3 where none runs.")
@click.option("-w", "--watch", is_flag=True, help="Again and again, until Ctrl+C.")
@click.option("--interval", type=Seconds(0.1), default=5.0, metavar="S", help="Time between looks (5).")
@click.option("--url", is_flag=True, help="Print the connection URL; it holds the key.")
@click.argument("kernel_id", metavar="[ID]", required=False)
def status(
    options: Options,
    kernel_id: str | None,
    named: str | None,
    form: str | None,
    quiet: bool,
    watch: bool,
    interval: float,
    url: bool,
) -> int:
    """Show running kernels; with ID everything about one."""
    if kernel_id is not None and named not in (None, kernel_id):
        raise InvalidRequest(f"two kernels are named: {kernel_id} and {named}")
    wanted = kernel_id or named
    if wanted is not None and options.connect_named:
        raise InvalidRequest(f"two kernels are named: {options.connect} and {wanted}")
    selection = _Selection(
        wanted, one_line=options.output_named and options.output == "text" and wanted is None, quiet=quiet, url=url
    )
    output = _output(options, form)
    if watch:
        _watch(output, options, selection, interval)
        return 0
    infos = _found(options, wanted)
    _show(output, selection, infos, _asked(output, options, selection, infos))
    return _NONE_RUNS if quiet and not infos else 0


def _output(options: Options, form: str | None) -> Output:
    """The output format: a drawn table at a terminal unless another was asked for; plain columns in a pipe."""
    terminal = sys.stdout.isatty()
    if terminal and not options.output_named:
        options = options._replace(output="pretty")
    elif form == "table" and not terminal:
        options = options._replace(output="text")
    return Output(options)


def _watch(output: Output, options: Options, selection: _Selection, interval_s: float) -> None:
    """Looks again and again; Ctrl+C is how one leaves, so it ends well."""
    infos: list[ConnectionInfo] = []
    gone: set[int] = set()
    try:
        with LiveScreen(output) if output.terminal and not output.json else nullcontext() as screen:
            while True:
                infos = _still_there(options, selection.kernel_id, infos)
                kernels = _asked(output, options, selection, infos)
                if screen is not None:
                    screen.clear()
                    output.line(f"Every {interval_s:g} s   {time.strftime('%H:%M:%S')}   Ctrl+C to leave")
                _show(output, selection, infos, kernels, watching=True)
                # A kernel that ends is seen at once, not at the next look.
                sleep_until_one_ends([info.pid for info in infos if info.pid is not None], interval_s, gone)
    except KeyboardInterrupt:
        return


def _asked(output: Output, options: Options, selection: _Selection, infos: list[ConnectionInfo]) -> list[Content]:
    if not output.json and (selection.quiet or selection.url):
        return []
    if selection.kernel_id is not None or options.connect is not None:
        named = selection.kernel_id is not None
        return [figures(info, must_answer=not named, budget=named) for info in infos]
    return figures_of_all(infos)


def _show(
    output: Output,
    selection: _Selection,
    infos: list[ConnectionInfo],
    kernels: list[Content],
    *,
    watching: bool = False,
) -> None:
    urls = _urls(output, infos) if selection.url else {}
    if output.json:
        _document(output, [_public(kernel, urls.get(at)) for at, kernel in enumerate(kernels)], watching=watching)
    elif selection.url:
        for url in urls.values():
            output.line(url)
    elif selection.quiet:
        for info in infos:
            output.line(info.id or info.address)
    elif not kernels:
        output.line("No kernels currently running")
    elif selection.one_line:
        for kernel in kernels:
            output.line(_one_line(kernel))
    elif selection.kernel_id is not None:
        output.properties(_all_properties(kernels[0]))
        _show_notebooks(output, kernels)
    else:
        output.table(_HEADERS, [_row(kernel) for kernel in kernels])
        _show_notebooks(output, kernels)
    if watching and not output.json:
        output.line()
    sys.stdout.flush()


def _show_notebooks(output: Output, kernels: list[Content]) -> None:
    """The notebooks that share one of these kernels, if any do."""
    rows = [_notebook_row(kernel, one) for kernel in kernels for one in kernel["notebooks"]]
    if rows:
        output.line()
        output.table(_NOTEBOOK_HEADERS, rows)


def _notebook_row(kernel: Content, one: Content) -> tuple[str, ...]:
    memory = one["memory_bytes"]
    return (
        str(one["id"]),
        str(kernel["id"] or "-"),
        str(one["state"]),
        _plain(one["execution_count"]),
        "-" if memory is None else size(memory, decimals_below=1000),
        ", ".join(one["models"]) or "-",
    )


def _urls(output: Output, infos: list[ConnectionInfo]) -> dict[int, str]:
    """The URLs of the kernels that have one, by their place; the only one that is meant must have one."""
    if len(infos) > 1:
        for info in infos:
            if info.transport != "tcp":
                output.warning(f"{info.id or info.address} has no URL: it listens on {info.transport}")
    return {at: info.to_url() for at, info in enumerate(infos) if len(infos) == 1 or info.transport == "tcp"}


def _document(output: Output, kernels: list[Content], *, watching: bool) -> None:
    found = {"kernels": kernels, "count": len(kernels)}
    output.event(found) if watching else output.document(found)


def _public(kernel: Content, url: str | None) -> Content:
    """The document of one kernel, the same with and without its id named; the URL only where it was asked for."""
    shown = {key: value for key, value in kernel.items() if key not in ("budget", "models")}
    return shown if url is None else {**shown, "url": url}


def _found(options: Options, wanted: str | None) -> list[ConnectionInfo]:
    """The kernels that are meant.

    Raises:
        NotFound: the named one does not run.
    """
    if wanted is None and options.connect is not None:
        return [resolve(options.connect, run_directory(), os.environ)]
    remove_stale_files()
    return all_running() if wanted is None else [running_by_id(wanted)]


def _still_there(options: Options, wanted: str | None, before: list[ConnectionInfo]) -> list[ConnectionInfo]:
    """The kernels that are meant.

    Raises:
        NotFound: the named one does not run, or no longer.
    """
    try:
        return _found(options, wanted)
    except NotFound as error:
        if before:
            error.message = f"Kernel '{wanted or options.connect}' has ended"
        raise


def _row(kernel: Content) -> tuple[str, ...]:
    metrics = kernel["metrics"]
    return (
        str(kernel["id"] or "-"),
        _plain(kernel["pid"]),
        _plain(kernel["port"]),
        str(kernel["status"]),
        _plain(metrics["cpu_percent"]),
        size(metrics["memory_bytes"], decimals_below=1000),
        _plain(metrics["active_connections"]),
        _plain(metrics["models_loaded"]),
        duration(metrics["uptime_s"]) if metrics["uptime_s"] is not None else "-",
    )


def _one_line(kernel: Content) -> str:
    kernel_id, pid, port, state, cpu, memory, _, _, uptime = _row(kernel)
    return f"{kernel_id}: PID={pid} Port={port} Status={state} CPU={cpu}% Memory={memory} Uptime={uptime}"


def _all_properties(kernel: Content) -> list[tuple[str, str]]:
    metrics, budget = kernel["metrics"], kernel["budget"]
    kernel_id, pid, port, state, cpu, memory, clients, models, uptime = _row(kernel)
    return [
        ("ID", kernel_id),
        ("PID", pid),
        ("Port", port),
        ("Status", state),
        ("Profile", kernel["profile"] or "-"),
        ("CPU", f"{cpu} %"),
        ("Memory", f"{memory} ({_plain(metrics['memory_percent'])} %)"),
        ("Clients", clients),
        ("Models", f"{models} ({', '.join(kernel['models'])})" if kernel["models"] else models),
        ("Model budget", f"{size(budget.get('used_bytes'))} of {size(budget.get('budget_bytes'))}"),
        ("Queue", _plain(metrics["queue"])),
        ("Open files", _plain(metrics["open_files"])),
        ("Started", kernel["start_time"] or "-"),
        ("Uptime", uptime),
        ("Last activity", metrics["last_activity"] or "-"),
        ("Connection file", home_path(kernel["connection_file"])),
        ("PID file", home_path(kernel["pid_file"])),
        ("Log file", home_path(kernel["log_file"])),
    ]


def _plain(value: float | int | None) -> str:
    return "-" if value is None else str(value)

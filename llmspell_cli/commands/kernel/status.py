"""`llmspell kernel status`: the kernels of this user, found by their files and asked one by one."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from llmspell_cli.connect import connected, remove_stale_files, run_directory
from llmspell_cli.options import Command, Options, collected
from llmspell_cli.output import Output
from llmspell_cli.session import Content, document
from llmspell_cli.text import duration, home_path, properties, size
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve, running_kernels
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound

_HEADERS = ("ID", "PID", "Port", "Status", "CPU%", "Memory", "Clients", "Models", "Uptime")


def _format(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        collected(ctx).prefer("pretty" if value == "table" else value)


@click.command(
    "status",
    cls=Command,
    examples=(
        ("llmspell kernel status", "all kernels of yours"),
        ("llmspell kernel status port-9555", "everything about one"),
        ("llmspell kernel status --watch --interval 2", "again and again"),
    ),
)
@click.option("-i", "--id", "named", metavar="ID", help="The kernel; same as the argument.")
@click.option(
    "-f",
    "--format",
    type=click.Choice(["table", "json", "text"]),
    metavar="FORMAT",
    expose_value=False,
    callback=_format,
    help="table (default), json or text.",
)
@click.option("-q", "--quiet", is_flag=True, help="Ids only.")
@click.option("-w", "--watch", is_flag=True, help="Again and again, until Ctrl+C.")
@click.option("--interval", type=click.FloatRange(0.1), default=5.0, metavar="S", help="Time between looks (5).")
@click.option("--url", is_flag=True, help="Print the connection URL; it holds the key.")
@click.argument("kernel_id", metavar="[ID]", required=False)
def status(
    options: Options, kernel_id: str | None, named: str | None, quiet: bool, watch: bool, interval: float, url: bool
) -> None:
    """Show running kernels; with ID everything about one."""
    output = Output(options)
    if kernel_id is not None and named not in (None, kernel_id):
        raise InvalidRequest(f"two kernels are named: {kernel_id} and {named}")
    wanted = kernel_id or named
    if not watch:
        _look(options, output, wanted, quiet=quiet, url=url)
        return
    try:
        while True:
            if output.terminal and not output.json:
                output.write("\x1b[2J\x1b[H")
            _look(options, output, wanted, quiet=quiet, url=url, watching=True)
            time.sleep(interval)
    except KeyboardInterrupt:
        return


def _look(
    options: Options, output: Output, wanted: str | None, *, quiet: bool, url: bool, watching: bool = False
) -> None:
    infos = _found(options, wanted)
    if url:
        for info in infos:
            output.line(info.to_url())
        return
    if quiet and not output.json:
        for info in infos:
            output.line(info.id or info.address)
        return
    kernels = [_ask(info) for info in infos]
    if output.json:
        found = {"kernels": kernels, "count": len(kernels)}
        output.event(found) if watching else output.document(found)
    elif not kernels:
        output.line("No kernels currently running")
    elif options.output_named and options.output == "text" and wanted is None:
        for kernel in kernels:
            output.line(_one_line(kernel))
    elif wanted is not None:
        for line in _all_properties(kernels[0]):
            output.line(line)
    else:
        output.table(_HEADERS, [_row(kernel) for kernel in kernels])
    output.write("")


def _found(options: Options, wanted: str | None) -> list[ConnectionInfo]:
    """The kernels that are meant.

    Raises:
        NotFound: the named one does not run.
    """
    if options.connect is not None:
        return [resolve(options.connect, run_directory(), os.environ)]
    remove_stale_files()
    running = running_kernels(run_directory())
    if wanted is None:
        return running
    chosen = [info for info in running if info.id == wanted]
    if not chosen:
        ids = [info.id for info in running if info.id]
        hint = f"running: {', '.join(ids)}" if ids else "no kernel is running"
        raise NotFound(f"Kernel '{wanted}' not found", hint=hint, details={"id": wanted, "running": ids})
    return chosen


def _ask(info: ConnectionInfo) -> dict[str, Any]:
    """One kernel's line; what a kernel that doesn't answer can't tell is None, and its status `Unknown`."""
    told: Content = {}
    try:
        with connected(info) as opened:
            told = document(opened.ask("kernel_request", {"action": "status"}, timeout_s=2.0))
    except LlmspellError:
        told = {"state": "Unknown"}
    metrics = told.get("metrics") or {}
    return {
        "id": info.id or told.get("id"),
        "pid": info.pid or told.get("pid"),
        "port": info.shell_port,
        "status": told.get("state"),
        "profile": told.get("profile"),
        "connection_file": told.get("connection_file"),
        "pid_file": told.get("pid_file"),
        "log_file": told.get("log_file"),
        "start_time": info.started_at or told.get("started_at"),
        "metrics": {
            "cpu_percent": metrics.get("cpu_percent"),
            "memory_bytes": metrics.get("memory_bytes"),
            **_seen_from_outside(info.pid),
            "active_connections": metrics.get("active_connections"),
            "uptime_s": metrics.get("uptime_s"),
            "last_activity": metrics.get("last_activity"),
            "models_loaded": metrics.get("models_loaded"),
            "queue": metrics.get("queue"),
        },
    }


def _seen_from_outside(pid: int | None) -> dict[str, Any]:
    """What the operating system tells about a process of this machine."""
    if pid is None:
        return {"memory_percent": None, "open_files": None}
    # Takes 20 ms to import; no other command needs it.
    import psutil

    try:
        process = psutil.Process(pid)
        return {
            "memory_percent": round(process.memory_percent(), 2),
            "open_files": process.num_fds(),
        }
    except psutil.Error:
        return {"memory_percent": None, "open_files": None}


def _row(kernel: dict[str, Any]) -> tuple[str, ...]:
    metrics = kernel["metrics"]
    return (
        str(kernel["id"]),
        str(kernel["pid"]),
        str(kernel["port"]),
        str(kernel["status"]),
        _plain(metrics["cpu_percent"]),
        size(metrics["memory_bytes"], decimals_below=1000),
        _plain(metrics["active_connections"]),
        _plain(metrics["models_loaded"]),
        duration(metrics["uptime_s"]) if metrics["uptime_s"] is not None else "-",
    )


def _one_line(kernel: dict[str, Any]) -> str:
    _, pid, port, state, cpu, memory, _, _, uptime = _row(kernel)
    return f"{kernel['id']}: PID={pid} Port={port} Status={state} CPU={cpu}% Memory={memory} Uptime={uptime}"


def _all_properties(kernel: dict[str, Any]) -> list[str]:
    metrics = kernel["metrics"]
    _, pid, port, state, cpu, memory, clients, models, uptime = _row(kernel)
    return properties(
        [
            ("ID", str(kernel["id"])),
            ("PID", pid),
            ("Port", port),
            ("Status", state),
            ("Profile", kernel["profile"] or "-"),
            ("CPU", f"{cpu} %"),
            ("Memory", f"{memory} ({_plain(metrics['memory_percent'])} %)"),
            ("Clients", clients),
            ("Models", models),
            ("Queue", _plain(metrics["queue"])),
            ("Open files", _plain(metrics["open_files"])),
            ("Uptime", uptime),
            ("Last activity", metrics["last_activity"] or "-"),
            ("Connection file", home_path(kernel["connection_file"])),
            ("PID file", home_path(kernel["pid_file"])),
            ("Log file", home_path(kernel["log_file"])),
        ]
    )


def _plain(value: float | int | None) -> str:
    return "-" if value is None else str(value)

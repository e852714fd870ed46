"""What kernels tell about themselves, and the operating system about their processes. Asks, shows nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from llmspell_cli.connect import connected, run_directory
from llmspell_cli.session import Content, Session
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running
from llmspell_protocol.errors import LlmspellError

PATIENCE_S = 2.0
"""How long a kernel may take to answer."""
_METRICS = (
    *("cpu_percent", "memory_bytes", "memory_percent", "open_files", "active_connections"),
    *("uptime_s", "last_activity", "models_loaded", "queue"),
)
_NOTEBOOK = (
    *("id", "name", "state", "execution_count", "subshells", "clients"),
    *("pid", "memory_bytes", "models", "started_at"),
)


def figures_of_all(infos: Sequence[ConnectionInfo]) -> list[Content]:
    """Every kernel's figures in the same order, asked side by side: one that hangs delays the others by nothing."""
    found: list[Content | None] = [None] * len(infos)

    def ask(at: int) -> None:
        found[at] = figures(infos[at])

    threads = [threading.Thread(target=ask, args=(at,), daemon=True) for at in range(1, len(infos))]
    for thread in threads:
        thread.start()
    if infos:
        ask(0)
    for thread in threads:
        thread.join()
    return [one for one in found if one is not None]


def figures(info: ConnectionInfo, *, must_answer: bool = False, budget: bool = False) -> Content:
    """One kernel's figures; what one that doesn't answer can't tell is None, and its status `Unknown`.

    With `budget` the key `budget` holds what its models use and may use, in bytes.

    Raises:
        LlmspellError: it must answer, and doesn't.
    """
    told: Content = {}
    memory: Content = {}
    until = time.monotonic() + PATIENCE_S
    try:
        with connected(info, timeout_s=PATIENCE_S) as opened:
            told = _reply(opened, until, "kernel_request", action="status")
            if budget:
                memory = _reply(opened, until, "model_request", action="ps")
    except LlmspellError:
        if must_answer and not told:
            raise
    figured = _document(info, told)
    return {**figured, "budget": memory, "models": told.get("models")} if budget else figured


def _reply(opened: Session, until: float, msg_type: str, **content: Any) -> Content:
    left_s = max(0.1, until - time.monotonic())
    return dict(opened.client.request(msg_type, content, timeout_s=left_s).result().content)


def _document(info: ConnectionInfo, told: Content) -> Content:
    metrics = told.get("metrics") or {}
    # A kernel that doesn't answer still has a process, if it is one of this machine.
    run_dir = run_directory()
    here = info.id is not None and info.pid is not None and is_running(run_dir, info.id)
    figured = _others_alone(metrics) if told or not here else _process(info.pid)
    return {
        "id": info.id or told.get("id"),
        "pid": info.pid or told.get("pid"),
        "port": info.shell_port if info.transport == "tcp" else None,
        "status": told.get("state", "Unknown"),
        "profile": told.get("profile"),
        "connection_file": told.get("connection_file")
        or (str(connection_path(run_dir, info.id or "")) if here else None),
        "pid_file": told.get("pid_file"),
        "log_file": told.get("log_file"),
        "start_time": info.started_at or told.get("started_at"),
        "notebooks": [{name: one.get(name) for name in _NOTEBOOK} for one in told.get("notebooks") or ()],
        "metrics": {name: figured.get(name) for name in _METRICS},
    }


def _others_alone(metrics: Content) -> Content:
    """The figures without the client that asks, which is this command."""
    clients = metrics.get("active_connections")
    return metrics if clients is None else {**metrics, "active_connections": max(0, clients - 1)}


def _process(pid: int | None) -> Content:
    """What the operating system tells about a process of this machine."""
    # Takes 20 ms to import; no other command needs it.
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return {
                "memory_bytes": process.memory_info().rss,
                "memory_percent": round(process.memory_percent(), 2),
                "open_files": process.num_fds(),
                "uptime_s": round(time.time() - process.create_time(), 3),
            }
    except psutil.Error:
        return {}

"""Which kernels run on this machine, and what `--connect` may name. Reads their files, opens no socket.

A kernel of ours writes its connection file as `kernel-<id>.json` into its run directory and holds an exclusive `flock`
on `kernel-<id>.lock` beside it for as long as it lives; a file whose lock is free is stale, whatever its pid says.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.connection import ConnectionInfo, key_hint
from llmspell_protocol.errors import Forbidden, InvalidRequest, KernelUnreachable, NotFound, Unauthorized
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from pathlib import Path

Directory = str | os.PathLike[str]
"""A command that only connects gives texts: pathlib and what it imports take 2 ms."""

# Compiled when they are first used, by `re` itself.
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]*\Z"
_HOST_PORT = r"(\[[^\]/]+\]|[^/:\[\]]+):(\d{1,5})\Z"
_START = "llmspell kernel start"


def connection_path(run_dir: Path, kernel_id: str) -> Path:
    """Where a kernel's connection file stands.

    Raises:
        InvalidRequest: the id has other characters than letters, digits, `.`, `_` and `-`.
    """
    return run_dir / _file_name(kernel_id, "json")


def _file_name(kernel_id: str, ending: str) -> str:
    if not re.match(_ID, kernel_id):
        raise InvalidRequest(f"'{kernel_id}' is not a kernel id: letters, digits, '.', '_' and '-' are possible")
    return f"kernel-{kernel_id}.{ending}"


def is_running(run_dir: Directory, kernel_id: str) -> bool:
    """Whether a process holds the kernel's lock.

    Looking takes a shared lock for a moment, so a kernel that starts must try for its own more than once.

    Raises:
        Forbidden: its files are another user's.
    """
    try:
        fd = os.open(os.path.join(run_dir, _file_name(kernel_id, "lock")), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise Forbidden(
            f"kernel '{kernel_id}' was started by another user: its files in {os.fspath(run_dir)} can't be read",
            details={"id": kernel_id, "path": os.fspath(run_dir)},
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def running_kernels(run_dir: Directory) -> list[ConnectionInfo]:
    """The kernels that run on this machine and wrote their files here, the newest first.

    Raises:
        ConfigError: a running kernel's connection file was damaged.
    """
    found = []
    for name in _files(run_dir, "kernel-"):
        try:
            if is_running(run_dir, name.removeprefix("kernel-").removesuffix(".json")):
                found.append(ConnectionInfo.read(os.path.join(run_dir, name)))
        except (NotFound, Forbidden):
            continue  # It ended between the look at its lock and this one, or is another user's.
    return sorted(found, key=lambda info: info.started_at or "", reverse=True)


def standing_kernels(run_dir: Directory) -> list[ConnectionInfo]:
    """Those of them that go on by themselves, the newest first: not those that a notebook has started and will end.

    Raises:
        ConfigError: a running kernel's connection file was damaged.
    """
    return [info for info in running_kernels(run_dir) if not info.frontend]


def resolve(target: str, run_dir: Directory, env: Mapping[str, str]) -> ConnectionInfo:
    """What `--connect TARGET` means: a URL, `auto`, `host:port`, the path of a connection file, or the id of a kernel,
    or else of an open notebook, or its beginning.

    `run_dir` is where this user's kernels write their files; of `env` only LLMSPELL_KEY is read.

    Raises:
        KernelUnreachable: nothing runs there (the kernel of that id has ended, or no kernel is running).
        NotFound: no such connection file or kernel id.
        InvalidRequest: several kernels' ids begin so.
        Unauthorized: an address without a key.
        InvalidRequest, ConfigError, Unsupported: the target or its file can't be used.
    """
    key = env.get("LLMSPELL_KEY") or None
    if "://" in target:
        return ConnectionInfo.from_url(target, key=key)
    if target == "auto":
        running = standing_kernels(run_dir)
        if not running:
            raise none_runs(run_dir)
        return running[0]
    if match := re.match(_HOST_PORT, target):
        return _by_address(match[1].strip("[]"), int(match[2]), run_dir, key)
    if os.sep in target or target.endswith(".json"):
        return ConnectionInfo.read(expanded_user(target, env))
    try:
        return by_id(target, run_dir)
    except NotFound:
        notebook = open_notebook(target, run_dir)
        if notebook is None:
            raise
        return notebook


def notebook_path(run_dir: Directory, notebook: str) -> str:
    """Where a kernel tells of an open notebook that shares it: its own id, and the notebook's connection file."""
    return os.path.join(run_dir, f"notebook-{notebook}.json")


def open_notebook(named: str, run_dir: Directory) -> ConnectionInfo | None:
    """The door of the open notebook of this id, or of the only one whose id begins so; None where there is none.

    Raises:
        InvalidRequest: several begin so.
    """
    doors = {one.id: one.connection_file for one in notebooks(run_dir) if one.id.startswith(named)}
    meant = [named] if named in doors else sorted(doors)
    if len(meant) > 1:
        raise InvalidRequest(
            f"several notebooks have an id that begins with '{named}': {', '.join(meant)}",
            hint="give more of it",
            details={"id": named, "running": meant},
        )
    return ConnectionInfo.read(doors[meant[0]])._replace(id=meant[0]) if meant else None


class OpenNotebook(NamedTuple):
    """A notebook that shares a kernel: its id, the kernel's, and the path of its own connection file."""

    id: str
    kernel: str
    connection_file: str


def notebooks(run_dir: Directory) -> list[OpenNotebook]:
    """The open notebooks of the kernels that run."""
    # Few commands name a notebook.
    import json

    found = []
    for name in _files(run_dir, "notebook-"):
        try:
            with open(os.path.join(run_dir, name), "rb") as file:
                told = json.load(file)
            if is_running(run_dir, told["kernel"]):
                id = name.removeprefix("notebook-").removesuffix(".json")
                found.append(OpenNotebook(id, told["kernel"], told["connection_file"]))
        except (OSError, ValueError, LookupError, TypeError, Forbidden, InvalidRequest):
            continue  # It has just been closed, or is of no kernel of ours.
    return found


def none_runs(run_dir: Directory) -> KernelUnreachable:
    """The error where a running kernel is needed and there is none; kernels of notebooks can be named."""
    notebooks = [info.id for info in running_kernels(run_dir) if info.id]
    hint = f"{_START} --daemon"
    if notebooks:
        hint = f"notebooks have kernels of their own ({', '.join(notebooks)}), which have to be named; or {hint}"
    return KernelUnreachable("no kernel is running", hint=hint, details={"notebooks": notebooks} if notebooks else None)


def by_id(named: str, run_dir: Directory) -> ConnectionInfo:
    """The running kernel of this id, or the only one whose id begins so.

    Raises:
        KernelUnreachable: the kernel of that id has ended.
        NotFound: there is none.
        InvalidRequest: several begin so, or no id can.
    """
    path = os.path.join(run_dir, _file_name(named, "json"))
    if is_running(run_dir, named):
        return ConnectionInfo.read(path)
    running = running_kernels(run_dir)
    meant = [info for info in running if info.id and info.id.startswith(named)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        ids = sorted(info.id or "" for info in meant)
        raise InvalidRequest(
            f"several kernels have an id that begins with '{named}': {', '.join(ids)}",
            hint="give more of it",
            details={"id": named, "running": ids},
        )
    if os.path.exists(path):
        raise KernelUnreachable(
            f"kernel '{named}' is not running (it left its files behind)",
            hint=f"{_START} --id {named}",
            details={"id": named},
        )
    ids = [info.id for info in running if info.id]
    raise NotFound(
        f"there is no kernel '{named}'",
        hint=f"running: {', '.join(ids)}" if ids else f"none is running; start one: {_START} --daemon",
        details={"id": named, "running": ids},
    )


def _files(run_dir: Directory, begin: str) -> list[str]:
    try:
        names = os.listdir(run_dir)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    return [name for name in names if name.startswith(begin) and name.endswith(".json")]


def _by_address(host: str, port: int, run_dir: Directory, key: str | None) -> ConnectionInfo:
    if is_loopback(host):
        for info in running_kernels(run_dir):
            if info.transport == "tcp" and info.shell_port == port:
                return info
        if key is None:
            raise KernelUnreachable(
                f"no kernel of yours listens on port {port} of this machine",
                hint=f"`llmspell kernel status` lists those that run; start one: {_START} --port {port}",
                details={"host": host, "port": port},
            )
    if key is None:
        raise Unauthorized(
            f"connecting to {host}:{port} needs its key", hint=key_hint(), details={"host": host, "port": port}
        )
    return ConnectionInfo.consecutive(host, port, key)

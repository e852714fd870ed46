"""Opens and binds a kernel's five sockets: given ports, free ports, socket files, or names inside this process."""

from __future__ import annotations

import os
import random
import socket
import stat
from pathlib import Path

import zmq

from llmspell_kernel.doors.heartbeat import MAX_BYTES, WAITING_ECHOES
from llmspell_kernel.doors.iopub import MAX_TOPIC_BYTES, WAITING_CHANGES, WAITING_OUTPUT
from llmspell_protocol.connection import CHANNELS, Channel, ConnectionInfo
from llmspell_protocol.discovery import running_kernels
from llmspell_protocol.errors import Busy, ConfigError, Unsupported
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.wire import MAX_MESSAGE_BYTES

Sockets = dict[str, "zmq.Socket[bytes]"]

_TYPES: dict[Channel, int] = {
    "shell": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "stdin": zmq.ROUTER,
    "control": zmq.ROUTER,
    "hb": zmq.ROUTER,
}
_MAX_PART_BYTES: dict[Channel, int] = {"iopub": MAX_TOPIC_BYTES, "hb": MAX_BYTES}
_WAITING_MESSAGES: dict[Channel, int] = {"iopub": WAITING_CHANGES, "hb": WAITING_ECHOES}
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_FREE_PORT_TRIES = 64
_SOCKETS = "llmspell-"
"""How the names of directories for socket files begin."""


def bind_sockets(info: ConnectionInfo, context: zmq.Context[zmq.Socket[bytes]]) -> tuple[ConnectionInfo, Sockets]:
    """The bound sockets by channel, and the connection with its real ports (`shell_port` 0: five free ones in a row).

    Raises:
        Busy: a port is taken, or another process listens on the socket file.
        ConfigError: the address can't be bound, a socket's path is too long or leads to another file, or no key is
            given, or signatures of a kind that this version lacks: every message is signed.
        Unsupported: other machines could connect, and this version can't encrypt what they would exchange.
    """
    if info.transport != "inproc" and not info.key:
        raise ConfigError(
            f"the connection at {info.ip} has no key, and messages are never exchanged unsigned",
            hint='a frontend gives its kernels a key unless it was told not to: remove its option Session.key = b""',
            details={"key": "key"},
        )
    if info.transport == "tcp" and not is_loopback(info.ip):
        raise Unsupported(
            f"'{info.ip}' is not a loopback address, and this version can't encrypt connections",
            hint="listen on 127.0.0.1 and reach it through ssh -L",
        )
    if info.transport == "ipc":
        _demand_free(info)
    if info.transport != "tcp" or info.shell_port:
        return info, _bind(info, context)
    for _ in range(_FREE_PORT_TRIES):
        # Below the range that Linux hands out to outgoing connections, which could take one between two binds.
        first = random.randrange(20_000, 32_000)
        candidate = info._replace(
            shell_port=first,
            iopub_port=first + 1,
            stdin_port=first + 2,
            control_port=first + 3,
            hb_port=first + 4,
        )
        try:
            return candidate, _bind(candidate, context)
        except Busy:
            continue
    raise Busy("found no five free ports in a row", hint="name one: llmspell kernel start --port PORT")


def ipc_prefix(env_runtime_dir: str | None, kernel_id: str) -> str:
    """Where a kernel's socket files stand: in a new directory of their own (0700), in the user's runtime directory.

    Not below LLMSPELL_HOME, since socket paths are limited to 103–107 bytes; and never in a directory that is there
    already, where a kernel of the same id but another home would take over the sockets.

    Raises:
        ConfigError: no directory can be made there.
    """
    # It brings every kind of archive along, and few kernels need it.
    import tempfile

    try:
        directory = tempfile.mkdtemp(prefix=_SOCKETS, dir=env_runtime_dir or None)
    except OSError as error:
        raise ConfigError(
            f"cannot make a directory for socket files in {env_runtime_dir or tempfile.gettempdir()}: {error.strerror}",
            hint="set XDG_RUNTIME_DIR to a directory that you may write to, with a short path",
        ) from None
    return str(Path(directory) / f"kernel-{kernel_id}")


def _demand_free(info: ConnectionInfo) -> None:
    """Looks at what has the names of socket files: binding would delete it, whatever it is."""
    for channel, port in info.ports.items():
        path = info.endpoint(channel).removeprefix("ipc://")
        try:
            found = os.lstat(path)
        except OSError:
            continue  # Nothing has the name, or binding says why it can't be had.
        if not stat.S_ISSOCK(found.st_mode):
            raise ConfigError(
                f"cannot listen on {path}: it exists and is not a socket",
                hint="move it away, or choose another path",
                details={"path": path},
            )
        if _is_listened_on(path):
            raise Busy(
                f"another process listens on {path}",
                hint="end it, or choose another path",
                details={"port": port, "channel": channel, "host": info.ip},
            )


def _is_listened_on(path: str) -> bool:
    # Only the socket of a kernel that was killed is free to be taken.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # Many wait already, or it is another user's.
    return True


def remove_socket_files(info: ConnectionInfo) -> None:
    """Deletes the socket files of an ipc kernel that has ended, and their directory if it was its own."""
    if info.transport != "ipc":
        return
    for channel in CHANNELS:
        path = Path(f"{info.ip}-{info.ports[channel]}")
        if path.is_socket():
            path.unlink(missing_ok=True)
    directory = Path(info.ip).parent
    if directory.name.startswith(_SOCKETS):
        try:
            directory.rmdir()
        except OSError:
            pass  # It holds a file that is not ours; leave it.


def _bind(info: ConnectionInfo, context: zmq.Context[zmq.Socket[bytes]]) -> Sockets:
    sockets: Sockets = {}
    try:
        for channel in CHANNELS:
            sockets[channel] = made = context.socket(_TYPES[channel])
            made.linger = 0
            made.setsockopt(zmq.MAXMSGSIZE, _MAX_PART_BYTES.get(channel, MAX_MESSAGE_BYTES))
            # What has come and not been taken yet; senders keep the rest.
            made.setsockopt(zmq.RCVHWM, _WAITING_MESSAGES.get(channel, 16))
            if channel == "iopub":
                # Without it a second subscriber to the same topic is never seen, and never welcomed.
                made.setsockopt(zmq.XPUB_VERBOSER, 1)
                made.setsockopt(zmq.SNDHWM, WAITING_OUTPUT)
            else:
                # A frontend that reconnects keeps its id: the newest connection of an id is the client's.
                made.setsockopt(zmq.ROUTER_HANDOVER, 1)
            if channel == "hb":
                made.setsockopt(zmq.SNDHWM, WAITING_ECHOES)
            elif channel != "iopub":
                made.setsockopt(zmq.ROUTER_MANDATORY, 1)
            if info.transport == "tcp":
                made.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
                made.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
                made.setsockopt(zmq.IPV6, ":" in info.ip)
            made.bind(info.endpoint(channel))
    except BaseException as error:
        for made in sockets.values():
            made.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise _explained(error, info, channel) from None
        raise
    return sockets


def _explained(error: zmq.ZMQError, info: ConnectionInfo, channel: Channel) -> Exception:
    if error.errno != zmq.EADDRINUSE:
        return ConfigError(f"cannot listen on {info.endpoint(channel)}: {os.strerror(error.errno or 0)}")
    port = info.ports[channel]
    return Busy(
        f"port {port} is taken" if info.transport == "tcp" else f"{info.endpoint(channel)} is taken",
        hint="choose another with --port, or --port 0 for free ones" if info.transport == "tcp" else None,
        details={"port": port, "channel": channel, "host": info.ip},
    )


def name_owner(error: Busy, run_dir: Path) -> Busy:
    """The same error, naming the kernel of ours that has the port, if one has."""
    port = error.details.get("port")
    for kernel in running_kernels(run_dir):
        if kernel.transport == "tcp" and port in kernel.ports.values():
            return Busy(
                f"port {port} is taken by kernel '{kernel.id}' (PID: {kernel.pid})",
                hint=f"llmspell kernel stop {kernel.id}, or choose another port with --port",
                details={**error.details, "id": kernel.id, "pid": kernel.pid},
            )
    return error

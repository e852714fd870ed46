"""Where a kernel listens and with which key: connection files and URLs. Opens no socket.

The file is Jupyter's JSON with one part of our own (`llmspell`); which kernels run is `discovery.py`'s business.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmspell_protocol.errors import ConfigError, InvalidRequest, NotFound, Unauthorized, Unsupported
from llmspell_protocol.loopback import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

Channel = Literal["shell", "iopub", "stdin", "control", "hb"]
Transport = Literal["tcp", "ipc", "inproc"]

CHANNELS: tuple[Channel, ...] = ("shell", "iopub", "stdin", "control", "hb")
"""In the order of the ports that `kernel start --port P` takes: P, P+1, … P+4."""

KERNEL_NAME = "llmspell"
SIGNATURE_SCHEME = "hmac-sha256"
MAX_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""What fits into `sockaddr_un.sun_path` with its final zero (unix(7); 104 bytes on macOS)."""

MAX_FILE_BYTES = 64 * 1024
"""Of a connection file; they have less than one."""

_URL_HINT = "run `llmspell kernel status --url` on the kernel's machine and connect with the URL it prints"


class ConnectionInfo(NamedTuple):
    """The five endpoints of a kernel and the key that signs its messages.

    `ip` is an address or host name for tcp and a path prefix for ipc (Jupyter's convention: the sockets are
    `<ip>-<port>`); inproc has neither ports nor key, its endpoints follow from `id`. `id`, `pid`, `started_at`
    (ISO 8601, UTC) and `version` are None where the kernel is of another make.

    What its settings are made of lets a command tell whether it means the same: `chosen` says that a profile or a file
    was named at its start, `config_file` is the file it found by itself, `variables` are the settings in its
    environment as `NAME=DIGEST`. `frontend`: a notebook started it and ends it.
    """

    transport: Transport = "tcp"
    ip: str = "127.0.0.1"
    shell_port: int = 0
    iopub_port: int = 0
    stdin_port: int = 0
    control_port: int = 0
    hb_port: int = 0
    key: str = ""
    signature_scheme: str = SIGNATURE_SCHEME
    kernel_name: str = KERNEL_NAME
    id: str | None = None
    pid: int | None = None
    started_at: str | None = None
    version: str | None = None
    frontend: bool = False
    chosen: bool = False
    config_file: str | None = None
    variables: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<ConnectionInfo {self.id or self.kernel_name} at {self.address}>"

    @classmethod
    def inproc(cls, kernel_id: str) -> ConnectionInfo:
        """A kernel in this process; its messages go unsigned."""
        return cls(transport="inproc", id=kernel_id, pid=os.getpid())

    @property
    def address(self) -> str:
        """Where the kernel listens, in words for people: `127.0.0.1:9555`."""
        if self.transport == "tcp":
            return f"{_bracketed(self.ip)}:{self.shell_port}"
        return f"{self.ip}-{self.shell_port}" if self.transport == "ipc" else f"inproc kernel {self.id}"

    @property
    def ports(self) -> dict[Channel, int]:
        """The ports by channel, in the order of `CHANNELS`."""
        return {channel: getattr(self, f"{channel}_port") for channel in CHANNELS}

    @property
    def loopback(self) -> bool:
        """Whether the kernel is on this machine by its address."""
        return self.transport != "tcp" or is_loopback(self.ip)

    @property
    def foreign(self) -> bool:
        """Whether the kernel is of another make, as far as this tells: neither our name nor our part in the file."""
        return self.id is None and self.kernel_name != KERNEL_NAME

    def endpoint(self, channel: Channel) -> str:
        """The ZeroMQ address of a channel.

        Raises:
            ConfigError: the path of an ipc socket is longer than the system allows.
        """
        if self.transport == "inproc":
            return f"inproc://llmspell-{self.id}-{channel}"
        port = self.ports[channel]
        if self.transport == "tcp":
            return f"tcp://{_bracketed(self.ip)}:{port}"
        path = f"{self.ip}-{port}"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            raise ConfigError(
                f"the socket path {path} has {len(os.fsencode(path))} bytes, the system allows {MAX_SOCKET_PATH_BYTES}",
                hint="put the sockets into a directory with a shorter path, such as $XDG_RUNTIME_DIR",
                details={"path": path, "limit_bytes": MAX_SOCKET_PATH_BYTES},
            )
        return f"ipc://{path}"

    def to_json(self) -> str:
        """The text of a connection file."""
        content: dict[str, Any] = {
            **{f"{channel}_port": port for channel, port in self.ports.items()},
            "transport": self.transport,
            "ip": self.ip,
            "key": self.key,
            "signature_scheme": self.signature_scheme,
            "kernel_name": self.kernel_name,
        }
        ours = {
            "id": self.id,
            "pid": self.pid,
            "started_at": self.started_at,
            "version": self.version,
            "frontend": self.frontend,
            "chosen": self.chosen,
            "config_file": self.config_file,
            "variables": list(self.variables),
        }
        if self.id is not None:
            content["llmspell"] = ours
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, origin: str = "connection information") -> ConnectionInfo:
        """The connection that a connection file's text describes; `origin` names it in errors.

        Raises:
            ConfigError: no JSON, or a field is missing or wrong (`details.key` names it).
            Unsupported: a signature scheme or an encryption that this version lacks.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{origin} is not JSON: {error}", details={"file": origin}) from None
        if not isinstance(content, dict):
            raise ConfigError(f"{origin} is not a JSON object", details={"file": origin})
        return _Fields(content, origin).connection()

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, own: bool = False) -> ConnectionInfo:
        """The connection in a file. With `own` only a plain file of this user's is opened, and no link.

        Raises:
            NotFound: there is no such file.
            ConfigError: it can't be read or is no connection file, or not this user's own.
        """
        try:
            with open(_own_file(path) if own else path, "rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"there is no connection file {path}",
                hint="`llmspell kernel status` lists the kernels that run on this machine",
                details={"file": str(path)},
            ) from None
        except OSError as error:
            raise ConfigError(
                f"can't read the connection file {path}: {error.strerror}", details={"file": str(path)}
            ) from None
        if len(text) > MAX_FILE_BYTES:
            raise ConfigError(f"{path} is too long for a connection file", details={"file": str(path)})
        return cls.from_json(text, origin=str(path))

    def write(self, path: Path) -> None:
        """Writes the connection file: whole or not at all, readable by its owner only."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(self.to_json())
                file.flush()
                os.fchmod(file.fileno(), 0o600)
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def to_url(self) -> str:
        """`llmspell://host:port?key=…`, with `&ports=` where the others do not follow the shell's; holds the key.

        Raises:
            InvalidRequest: only tcp kernels have one.
        """
        # Only a caller that needs a URL pays for its parser.
        from urllib.parse import quote

        if self.transport != "tcp":
            raise InvalidRequest(
                f"a kernel on {self.transport} has no URL", hint="connect with its id or its connection file"
            )
        url = f"llmspell://{_bracketed(self.ip)}:{self.shell_port}?key={quote(self.key, safe='')}"
        others = [self.ports[channel] for channel in CHANNELS[1:]]
        if others == [self.shell_port + 1 + offset for offset in range(4)]:
            return url
        return url + "&ports=" + ",".join(map(str, others))

    @classmethod
    def from_url(cls, url: str, *, key: str | None = None) -> ConnectionInfo:
        """The connection that a URL describes; `key` is used where the URL has none.

        Raises:
            InvalidRequest: it is no such URL.
            Unauthorized: neither has a key.
            Unsupported: the URL asks for encryption, which this version lacks.
        """
        from urllib.parse import parse_qs, urlsplit

        try:
            parts = urlsplit(url)
            port = parts.port
            query = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise InvalidRequest(f"this is not a kernel URL: {error}", hint=_URL_HINT) from None
        if parts.scheme != "llmspell" or not parts.hostname or not port or parts.path not in ("", "/"):
            raise InvalidRequest("a kernel URL reads llmspell://HOST:PORT?key=…", hint=_URL_HINT)
        if "curve" in query:
            raise Unsupported("this version can't encrypt connections (the URL has a curve part)")
        key = query.get("key", [key or ""])[-1]
        if not key:
            raise Unauthorized(f"the URL of {parts.hostname}:{port} has no key", hint=key_hint())
        if "ports" not in query:
            return cls.consecutive(parts.hostname, port, key)
        try:
            others = [int(text) for text in query["ports"][-1].split(",")]
        except ValueError:
            others = []
        if len(others) != 4 or not all(0 < other < 65536 for other in others):
            raise InvalidRequest("`ports` of a kernel URL are four numbers: iopub,stdin,control,hb", hint=_URL_HINT)
        iopub, stdin, control, hb = others
        return cls(
            ip=parts.hostname,
            shell_port=port,
            iopub_port=iopub,
            stdin_port=stdin,
            control_port=control,
            hb_port=hb,
            key=key,
        )

    @classmethod
    def consecutive(cls, host: str, port: int, key: str) -> ConnectionInfo:
        """A tcp kernel whose five ports follow one another, the shell's first.

        Raises:
            InvalidRequest: the five don't fit below 65536.
        """
        if not 0 < port <= 65531:
            raise InvalidRequest(f"port {port} can't be a kernel's first of five: 1 to 65531 are possible")
        return cls(
            ip=host,
            shell_port=port,
            iopub_port=port + 1,
            stdin_port=port + 2,
            control_port=port + 3,
            hb_port=port + 4,
            key=key,
        )


def _own_file(path: str | os.PathLike[str]) -> int:
    """A descriptor of a plain file that is this user's. Raises as `ConnectionInfo.read`, and OSError."""
    # Only a kernel that is told a path by another process looks so closely.
    from llmspell_protocol.beneath import NotPlain, open_plain

    try:
        descriptor = open_plain(os.fspath(path), os.O_RDONLY)
    except (NotPlain, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        raise ConfigError(
            f"{path} is not a plain file", hint="name the connection file itself, no link", details={"file": str(path)}
        ) from None
    if os.fstat(descriptor).st_uid != os.geteuid():
        os.close(descriptor)
        raise ConfigError(f"the connection file {path} is another user's", details={"file": str(path)})
    return descriptor


class _Fields:
    """Reads typed fields from a connection file's content and says which one is wrong."""

    def __init__(self, content: dict[str, Any], origin: str) -> None:
        self._content = content
        self._origin = origin

    def connection(self) -> ConnectionInfo:
        transport = self._text("transport", "tcp")
        if transport not in ("tcp", "ipc"):
            raise self._wrong("transport", f"'{transport}' is neither tcp nor ipc")
        scheme = self._text("signature_scheme", SIGNATURE_SCHEME) or SIGNATURE_SCHEME
        if scheme != SIGNATURE_SCHEME:
            raise Unsupported(
                f"{self._origin} asks for signatures by {scheme}; this version has {SIGNATURE_SCHEME}",
                hint=f"remove the frontend's option Session.signature_scheme, or set it to {SIGNATURE_SCHEME}",
            )
        if self._content.get("curve_publickey"):
            raise Unsupported(f"{self._origin} asks for CURVE encryption, which this version lacks")
        ours = self._content.get("llmspell") or {}
        if not isinstance(ours, dict):
            raise self._wrong("llmspell", "it is not an object")
        pid = ours.get("pid")
        return ConnectionInfo(
            transport="ipc" if transport == "ipc" else "tcp",
            ip=self._text("ip", "127.0.0.1" if transport == "tcp" else None),
            shell_port=self._port("shell_port"),
            iopub_port=self._port("iopub_port"),
            stdin_port=self._port("stdin_port"),
            control_port=self._port("control_port"),
            hb_port=self._port("hb_port"),
            key=self._text("key", None),
            kernel_name=self._text("kernel_name", ""),
            id=_text_or_none(ours.get("id")),
            pid=pid if isinstance(pid, int) else None,
            started_at=_text_or_none(ours.get("started_at")),
            version=_text_or_none(ours.get("version")),
            frontend=ours.get("frontend") is True,
            chosen=ours.get("chosen") is True,
            config_file=_text_or_none(ours.get("config_file")),
            variables=_texts(ours.get("variables")),
        )

    def _text(self, name: str, default: str | None) -> str:
        value = self._content.get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "it is missing" if value is None else "it is not a text")
        return value

    def _port(self, name: str) -> int:
        value = self._content.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
            raise self._wrong(name, "it is missing" if value is None else "it is not a port number")
        return value

    def _wrong(self, name: str, why: str) -> ConfigError:
        return ConfigError(
            f"{self._origin} is not a usable connection file: {name}: {why}",
            details={"file": self._origin, "key": name},
        )


def key_hint() -> str:
    """What to do about a missing key."""
    return f"{_URL_HINT}, or set LLMSPELL_KEY"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()

"""A web server on this machine whose answers a test writes, well-behaved or not, and which notes what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request that came in; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class Answering(BaseHTTPRequestHandler):
    """What a page gets: it answers by `answer`, or writes to `wfile` whatever it likes."""

    protocol_version = "HTTP/1.1"
    server: _Server
    asked: Asked

    def answer(
        self, content: bytes | str | Any = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """An answer with a right length; what is neither bytes nor text is sent as JSON."""
        sent = dict(headers or {})
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
            sent.setdefault("Content-Type", "application/json")
        data = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **sent}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def redirect(self, target: str, status: int = 302) -> None:
        """An answer that leads elsewhere."""
        self.answer(b"", status, {"Location": target})

    def raw(self, data: bytes) -> None:
        """These bytes, and then the end of the connection."""
        self.wfile.write(data)
        self.close_connection = True

    def until_gone(self, piece: bytes, pause_s: float = 0.0) -> None:
        """The same piece again and again, until the other end has enough or the server is closed."""
        self.close_connection = True
        try:
            while not self.server.closing.wait(pause_s):
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            pass

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers, body)
        self.server.asked.append(self.asked)
        page = self.server.pages.get(self.path.partition("?")[0])
        try:
            if page is None:
                self.answer("not found", 404)
            else:
                page(self)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        return False  # It is answered: there is no do_GET to call.

    def log_message(self, format: str, *args: Any) -> None:
        """Is not told."""


Page = Callable[[Answering], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Answering)
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle, or don't like the certificate, are what tests do."""


@dataclass
class WebServer:
    """A running server: `pages` by path."""

    host: str
    port: int
    scheme: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def url(self, path: str = "/", host: str | None = None) -> str:
        """The URL of a path."""
        place = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{self.scheme}://{place}:{self.port}{path}"

    def page(self, path: str, content: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> str:
        """Has a path answered always the same; returns its URL."""
        self.pages[path] = lambda request: request.answer(content, status, headers)
        return self.url(path)


@contextmanager
def web_server(host: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[WebServer]:
    """A server for as long as the block lasts; `certificate` is a file with key and certificate, for https."""
    server = _Server(host)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield WebServer(host, server.server_address[1], scheme, server.pages, server.asked)
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def own_certificate(path: Path, *names: str) -> Path:
    """A file with a key and a certificate for these names and addresses that is signed by itself."""
    import datetime
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def alternative(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path

"""A loopback server that behaves like the Hugging Face hub, a file server and a package index, or misbehaves on order.

Real huggingface_hub, pip and our downloader talk to it. It keeps a list of what was asked and when, so that tests can
count and compare.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_DEADLINE_S = 60
_LARGE_BYTES = 1024
"""Files from this size on are large ones: sums are SHA-256, and the bytes come from another path by redirect."""


@dataclass(frozen=True)
class Asked:
    """One request; `at_s` is when it came, by the monotonic clock."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    at_s: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """An answer that gives nothing: a status and its headers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def too_many_requests(retry_after: str | None = None) -> Refusal:
    """The hub's 429."""
    return Refusal(429, {} if retry_after is None else {"Retry-After": retry_after})


@dataclass
class Manner:
    """How the bytes of one file are sent; None: as they should be.

    `hold_at`: send so many bytes of the file, set `reached` and wait for `release`. `cut_at`: close the connection at
    these places, each once. `body`: send these bytes in place of the file's. `full_only`: ignore Range.
    `no_length`: do not say how long it is. `status`: answer with this. `refusals`: answer the first requests with these
    (429 with a Retry-After). `silent_at`: send up to so many bytes of the file and then nothing, each time.
    """

    hold_at: int | None = None
    cut_at: list[int] = field(default_factory=list)
    body: bytes | None = None
    full_only: bool = False
    no_length: bool = False
    status: int | None = None
    refusals: list[Refusal] = field(default_factory=list)
    silent_at: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class HubServer:
    """Repositories, plain files (`/files/NAME`) and wheels (`/simple/`), over HTTP on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.repositories: dict[str, Mapping[str, bytes]] = {}
        """By name; `ORG/REPO@REVISION` is another revision of a repository, at a commit of its own."""
        self.commits: dict[str, str] = {}
        """The commit of a key of `repositories`, `COMMIT` where there is none here."""
        self.readers: dict[str, str] = {}
        """The one token that may read a private repository."""
        self.gated: dict[str, str] = {}
        """The one token that may read the files of a gated repository; everyone may list them."""
        self.tokens: set[str] = set()
        """Tokens that exist, besides those above."""
        self.announced_sizes: dict[str, int] = {}
        """What the listing says of a file's size, by its base name, in place of the truth."""
        self.listing_has_sizes = True
        self.listing_refusals: list[Refusal] = []
        """Answers to the next listings, in place of them."""
        self.listing_body: bytes | None = None
        """What every listing is answered with, in place of one."""
        self.files: dict[str, bytes] = {}
        self.wheels: dict[str, bytes] = {}
        self.wheel_metadata = True
        """Whether the index has metadata beside its wheels, as PyPI does; otherwise pip fetches the wheel itself."""
        self.manners: dict[str, Manner] = {}
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def content_url(self) -> str:
        """The content network's address: the same server by another name, so that it counts as another host."""
        return self.url.replace("127.0.0.1", "localhost")

    def environment(self) -> dict[str, str]:
        """What a pull worker needs to see this hub and this package index, and nothing else."""
        return {
            "HF_ENDPOINT": self.url,
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_NO_INDEX": "0",
            "PIP_CONFIG_FILE": "/dev/null",
        }

    def manner(self, name: str) -> Manner:
        """How the file of this base name is sent, to be changed."""
        return self.manners.setdefault(name, Manner())

    def key(self, repository: str, revision: str | None) -> str | None:
        """The key of a repository's revision: a branch, a tag or a commit; None where there is none."""
        if revision in (None, "main"):
            return repository if repository in self.repositories else None
        for key in self.repositories:
            name, _, own = key.partition("@")
            if name == repository and revision in (own or "main", self.commits.get(key, COMMIT)):
                return key
        return None

    def data_requests(self, name: str) -> list[Asked]:
        """The requests for a file's bytes, whichever way they came."""
        return [
            one
            for one in self.asked
            if one.method == "GET" and one.path.endswith(f"/{name}") and "/resolve/" not in one.path
        ]

    def range_requests(self, name: str) -> list[str]:
        """The Range headers among them."""
        return [one.range for one in self.data_requests(name) if one.range is not None]

    def close(self) -> None:
        """Ends the server and lets go of every answer that is held."""
        for manner in self.manners.values():
            manner.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_DEADLINE_S)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A running server."""
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


def etag(data: bytes) -> str:
    """The hub's ETag: SHA-256 for large files, the git object's name for small ones."""
    if len(data) >= _LARGE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(name: str, data: bytes, sizes: Mapping[str, int] | None) -> dict[str, Any]:
    """A file in the listing of a repository."""
    if sizes is None:
        return {"rfilename": name}
    size = sizes.get(name.rpartition("/")[2], len(data))
    entry: dict[str, Any] = {
        "rfilename": name,
        "size": size,
        "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
    }
    if len(data) >= _LARGE_BYTES:
        entry["lfs"] = {"sha256": etag(data), "size": size, "pointerSize": 134}
    return entry


def _handler_of(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(self.path.partition("?")[0])
            token = self.headers.get("Authorization")
            hub.asked.append(Asked(self.command, path, self.headers.get("Range"), token, time.monotonic()))
            parts = path.strip("/").split("/")
            try:
                if path == "/":
                    self._send(200, b"hub", with_body=with_body)
                elif parts[:2] == ["api", "models"]:
                    revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else None
                    self._repository("/".join(parts[2:4]), revision, with_body=with_body)
                elif len(parts) > 4 and parts[2] == "resolve":
                    self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]), with_body=with_body)
                elif parts[0] == "cdn":
                    files = hub.repositories[hub.key("/".join(parts[1:3]), parts[3]) or ""]
                    self._file(files["/".join(parts[4:])], parts[-1], with_body=with_body)
                elif parts[0] == "files":
                    self._file(hub.files["/".join(parts[1:])], parts[-1], with_body=with_body)
                elif parts[0] == "wheels" and path.endswith(".metadata"):
                    self._metadata(parts[1].removesuffix(".metadata"), with_body=with_body)
                elif parts[0] == "wheels":
                    self._file(hub.wheels[parts[1]], parts[1], with_body=with_body)
                elif parts[0] == "simple":
                    self._index(parts[1], with_body=with_body)
                else:
                    self._send(404, b"", with_body=with_body)
            except KeyError:
                self._send(404, b"", with_body=with_body, headers={"X-Error-Code": "EntryNotFound"})
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, status: int, body: bytes, *, with_body: bool, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def _repository(self, repository: str, revision: str | None, *, with_body: bool) -> None:
            if hub.listing_refusals:
                self._refuse(hub.listing_refusals.pop(0), with_body=with_body)
                return
            if hub.listing_body is not None:
                self._send(200, hub.listing_body, with_body=with_body)
                return
            key = self._readable(repository, revision, with_body=with_body)
            if key is None:
                return
            with_sizes = hub.listing_has_sizes and "blobs=" in self.path
            content = {
                "id": repository,
                "modelId": repository,
                "sha": hub.commits.get(key, COMMIT),
                "private": repository in hub.readers,
                "gated": "manual" if repository in hub.gated else False,
                "tags": ["license:apache-2.0"],
                "siblings": [
                    _sibling(name, data, hub.announced_sizes if with_sizes else None)
                    for name, data in hub.repositories[key].items()
                ],
            }
            self._send(
                200, json.dumps(content).encode(), with_body=with_body, headers={"Content-Type": "application/json"}
            )

        def _readable(self, repository: str, revision: str | None, *, with_body: bool) -> str | None:
            """The key of a repository that this request's token may see; others have been answered as the hub does."""
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            known = hub.tokens | set(hub.readers.values()) | set(hub.gated.values())
            if token and known and token not in known:
                message = "Invalid credentials in Authorization header"
                self._send(401, b"{}", with_body=with_body, headers={"X-Error-Message": message})
                return None
            hidden = repository in hub.readers and token != hub.readers[repository]
            if hidden or not any(key.partition("@")[0] == repository for key in hub.repositories):
                # Without a token the hub does not tell the one from the other.
                headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
                self._send(404 if token else 401, b"{}", with_body=with_body, headers=headers)
                return None
            key = hub.key(repository, revision)
            if key is None:
                self._send(404, b"{}", with_body=with_body, headers={"X-Error-Code": "RevisionNotFound"})
            return key

        def _resolve(self, repository: str, revision: str, name: str, *, with_body: bool) -> None:
            key = self._readable(repository, revision, with_body=with_body)
            if key is None:
                return
            if repository in hub.gated and self.headers.get("Authorization") != f"Bearer {hub.gated[repository]}":
                status = 403 if self.headers.get("Authorization") else 401
                self._send(status, b"", with_body=with_body, headers={"X-Error-Code": "GatedRepo"})
                return
            data = hub.repositories[key][name]
            commit = hub.commits.get(key, COMMIT)
            headers = {"X-Repo-Commit": commit}
            if len(data) < _LARGE_BYTES:
                self._file(data, name, with_body=with_body, headers={**headers, "ETag": f'"{etag(data)}"'})
                return
            headers |= {"X-Linked-Etag": f'"{etag(data)}"', "X-Linked-Size": str(len(data))}
            headers |= {"Location": f"{hub.content_url}/cdn/{repository}/{commit}/{name}"}
            self._send(302, b"", with_body=with_body, headers=headers)

        def _refuse(self, refusal: Refusal, *, with_body: bool) -> None:
            self._send(refusal.status, b"", with_body=with_body, headers=refusal.headers)

        def _index(self, project: str, *, with_body: bool) -> None:
            wheels = [name for name in hub.wheels if name.startswith(project.replace("-", "_"))]
            if not wheels:
                raise KeyError(project)
            announced = ' data-core-metadata="true"' if hub.wheel_metadata else ""
            links = (
                f'<a href="{hub.url}/wheels/{name}#sha256={hashlib.sha256(hub.wheels[name]).hexdigest()}"'
                f"{announced}>{name}</a>"
                for name in wheels
            )
            page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
            self._send(200, page.encode(), with_body=with_body, headers={"Content-Type": "text/html"})

        def _metadata(self, wheel: str, *, with_body: bool) -> None:
            with zipfile.ZipFile(io.BytesIO(hub.wheels[wheel])) as archive:
                name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
                self._send(200, archive.read(name), with_body=with_body)

        def _file(self, data: bytes, name: str, *, with_body: bool, headers: Mapping[str, str] | None = None) -> None:
            base = name.rpartition("/")[2]
            manner = hub.manners.get(base, Manner())
            if manner.refusals:
                self._refuse(manner.refusals.pop(0), with_body=with_body)
                return
            if manner.status is not None:
                self._send(manner.status, b"", with_body=with_body)
                return
            tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            asked = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            start = 0
            if asked is not None and not manner.full_only and condition in (None, tag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            body = data if manner.body is None else manner.body
            if start >= len(body) > 0:
                self._send(416, b"", with_body=with_body)
                return
            self.send_response(206 if start else 200)
            for key, value in {"ETag": tag, "Accept-Ranges": "bytes", **(headers or {})}.items():
                self.send_header(key, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if manner.no_length:
                self.send_header("Connection", "close")
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            if with_body:
                self._body(body, start, manner)

        def _body(self, body: bytes, start: int, manner: Manner) -> None:
            cut = next((place for place in sorted(manner.cut_at) if place > start), None)
            if cut is not None:
                manner.cut_at.remove(cut)
                self.wfile.write(body[start:cut])
                self.close_connection = True
                return
            if manner.silent_at is not None:
                self.wfile.write(body[start : manner.silent_at])
                self.wfile.flush()
                manner.release.wait(_DEADLINE_S)
                self.close_connection = True
                return
            if manner.hold_at is not None and start < manner.hold_at and not manner.release.is_set():
                self.wfile.write(body[start : manner.hold_at])
                self.wfile.flush()
                manner.reached.set()
                manner.release.wait(_DEADLINE_S)
                start = manner.hold_at
            self.wfile.write(body[start:])

    return Handler

"""A loopback server that behaves like the Hugging Face hub, a file server and a package index, or misbehaves on order.

Real huggingface_hub, pip and our downloader talk to it. It keeps a list of what was asked and when, so that tests can
count and compare.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.hub_answers import DEADLINE_S, Answer, ContentServer
from tests.support.hub_contents import HubContents
from tests.support.hub_repositories import answer_content, answer_listing, answer_resolve, answer_search
from tests.support.package_index import answer_metadata, answer_project


class HubServer(HubContents):
    """Repositories, plain files (`/files/NAME`) and wheels (`/simple/`), over HTTP on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__()
        self._server = ContentServer(self, _Routes)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._server.url

    def environment(self) -> dict[str, str]:
        """What a pull worker needs to see this hub and this package index, and nothing else."""
        return {
            "HF_ENDPOINT": self.url,
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_NO_INDEX": "0",
            "PIP_CONFIG_FILE": "/dev/null",
        }

    def close(self) -> None:
        """Ends the server and lets go of every answer that is held."""
        for manner in self.manners.values():
            manner.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A running server."""
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


class _Routes(Answer):
    """Which path is answered by whom."""

    def route(self, path: str) -> None:
        parts = path.strip("/").split("/")
        match parts:
            case [""]:
                self.send(200, b"hub")
            case ["api", "models"]:
                answer_search(self)
            case ["api", "models", owner, name]:
                answer_listing(self, f"{owner}/{name}", None)
            case ["api", "models", owner, name, "revision", *revision]:
                answer_listing(self, f"{owner}/{name}", "/".join(revision))
            case [owner, name, "resolve", revision, *rest] if rest:
                answer_resolve(self, f"{owner}/{name}", revision, "/".join(rest))
            case ["cdn", owner, name, commit, *rest]:
                answer_content(self, f"{owner}/{name}", commit, "/".join(rest))
            case ["files", *rest]:
                self.send_file(self.contents.files["/".join(rest)], rest[-1])
            case ["wheels", name] if name.endswith(".metadata"):
                answer_metadata(self, name.removesuffix(".metadata"))
            case ["wheels", name]:
                self.send_file(self.contents.wheels[name], name)
            case ["simple", project]:
                answer_project(self, project)
            case _:
                self.send(404)

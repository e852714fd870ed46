"""Web servers on this machine for tools to speak to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.web_server import WebServer, web_server


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A server at 127.0.0.1."""
    with web_server() as server:
        yield server

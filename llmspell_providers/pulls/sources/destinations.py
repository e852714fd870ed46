"""Which machines a pull may reach: never this one or its network by a redirect, and for some callers not at all.

Names are judged by the addresses that they have when they are connected to, so that a name can't mean another machine
a moment later.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from llmspell_protocol.errors import Forbidden
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.public_addresses import is_public
from llmspell_providers.pulls.sources.remote import SourceFailed


def check_request(scheme: str, host: str, first_host: str) -> None:
    """Whether a request may go out, the first of a pull or one that follows a redirect.

    Raises:
        SourceFailed: plain http to another machine, or a redirect from elsewhere into this machine or its network.
    """
    if scheme != "https" and not is_loopback(host):
        raise SourceFailed(f"plain http to {host} is refused: use https")
    if _is_private(host) and not _is_private(first_host):
        raise SourceFailed(f"a redirect from {first_host} to {host}, in a private network, is refused")


@contextmanager
def public_only() -> Iterator[None]:
    """While it lasts, this process connects to public addresses and the environment's proxies alone."""
    proxies = {urlsplit(address).hostname for address in getproxies().values()}
    look_up = socket.getaddrinfo

    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        found = look_up(host, *args, **options)
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if name not in proxies and not all(is_public(str(one[4][0])) for one in found):
            raise SourceFailed(
                f"{name} is on this machine or in a private network, which this caller may not reach",
                kind=Forbidden,
                hint="only the kernel's owner may pull from there",
            )
        return found

    socket.getaddrinfo = guarded
    try:
        yield
    finally:
        socket.getaddrinfo = look_up


def _is_private(host: str) -> bool:
    """Whether a host is not public, as far as its text tells."""
    host = host.lower().rstrip(".")
    if is_loopback(host) or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not is_public(host.strip("[]"))
    except ValueError:
        return False

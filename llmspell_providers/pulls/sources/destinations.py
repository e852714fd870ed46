"""Which machines a pull may reach: never this one or its network by a redirect, and for some callers not at all.

Names are judged by the addresses that they have when they are connected to, so that a name can't mean another machine
a moment later.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from llmspell_protocol.errors import Forbidden
from llmspell_protocol.loopback import is_loopback
from llmspell_providers.pulls.sources.remote import SourceFailed

_NAT64 = IPv6Network("64:ff9b::/96")


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
        if name not in proxies and not all(_is_public(str(one[4][0])) for one in found):
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
        return not _is_public(host.strip("[]"))
    except ValueError:
        return False


def _is_public(address: str) -> bool:
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = _inside(ip)
        if inner is not None:
            return _is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _inside(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo is not None else None)

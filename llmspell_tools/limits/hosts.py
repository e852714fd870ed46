"""Hosts as people and pages write them, and lists of hosts that are allowed or blocked. Looks no name up."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.request_options import EVERYTHING

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NUMBER = r"[0-9]+|0x[0-9a-f]*"
_LONGEST = 253


def host_name(text: str) -> str:
    """The one spelling of a host: a name in ASCII and lower case without a dot at its end, or an address in full.

    IPv4 addresses in other forms (`0x7f.1`, `2130706433`, `::ffff:127.0.0.1`) become the four numbers that they mean.

    Raises:
        InvalidRequest: it is no host.
    """
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in host:
        return _ipv6(host, text)
    if not host.isascii():
        host = _in_ascii(host, text)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _LONGEST or not all(re.fullmatch(_LABEL, label) for label in labels):
        raise _no_host(text)
    # What the system would read as an address, https://url.spec.whatwg.org/#ends-in-a-number-checker
    if not re.fullmatch(_NUMBER, labels[-1]):
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        raise _no_host(text) from None


def is_address(host: str) -> bool:
    """Whether a host as `host_name` gives it is an IP address."""
    return ":" in host or re.fullmatch(r"[0-9.]+", host) is not None


class _Entry(NamedTuple):
    host: str
    port: int | None

    def is_for(self, host: str, port: int) -> bool:
        return self.host == host and self.port in (None, port)

    def is_above(self, host: str, port: int) -> bool:
        return self.port in (None, port) and not is_address(self.host) and host.endswith(f".{self.host}")


class HostList:
    """Hosts, each with all names below it, and networks of addresses (`10.0.0.0/8`); `*` is every one.

    An entry may have a port, `host:8080`.

    Raises:
        InvalidRequest: an entry is none of these.
    """

    def __init__(self, entries: str | Iterable[str]) -> None:
        texts = [text.strip() for text in (entries.split(",") if isinstance(entries, str) else entries)]
        self.is_everything = EVERYTHING in texts
        named = [text for text in texts if text and text != EVERYTHING]
        self._entries: Sequence[_Entry] = [_entry(text) for text in named if "/" not in text]
        self._networks = [_network(text) for text in named if "/" in text]

    def has(self, host: str, port: int) -> bool:
        """Whether a host, as `host_name` gives it, is meant by an entry."""
        if self.is_everything or self.names(host, port):
            return True
        return not is_address(host) and any(one.is_above(host, port) for one in self._entries)

    def names(self, host: str, port: int) -> bool:
        """Whether an entry is this very host, or a network that has this address."""
        if any(one.is_for(host, port) for one in self._entries):
            return True
        return is_address(host) and any(ip_address(host) in network for network in self._networks)


def _entry(text: str) -> _Entry:
    host, port = text, None
    if found := re.fullmatch(r"(\[.*\]|[^:]*):([0-9]{1,5})", text):
        host, port = found[1], int(found[2])
    try:
        return _Entry(host_name(host.removeprefix("*.").removeprefix(".")), port)
    except InvalidRequest as error:
        raise _no_entry(error.message) from None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise _no_entry(str(error)) from None


def _no_entry(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"a list of allowed or blocked hosts is wrong: {why}",
        hint="an entry is a host, a domain, an address, a network such as 10.0.0.0/8, or *",
    )


def _ipv6(host: str, text: str) -> str:
    if "%" in host:
        raise InvalidRequest(f"'{text}' has a zone, which says nothing outside of one machine")
    try:
        ip = IPv6Address(host)
    except AddressValueError:
        raise _no_host(text) from None
    return str(ip if ip.ipv4_mapped is None else ip.ipv4_mapped)


def _in_ascii(host: str, text: str) -> str:
    # Only for names in other letters than ASCII's.
    import idna

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        raise _no_host(text) from None


def _no_host(text: str) -> InvalidRequest:
    return InvalidRequest(f"'{text[:100]}' is not the name or the address of a host")

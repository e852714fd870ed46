"""The address of a server as people write it: one place that takes it apart and says what is wrong with it.

Settings are checked by it and clients are made from it, so that what counts as valid can also be connected to. Knows no
network: names are not looked up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llmspell_protocol.loopback import is_loopback

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_PARTS = r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?"
_NAME = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_LONGEST_NAME = 253
_HIGHEST_PORT = 65_535


class BadAddress(ValueError):
    """The text is no address of a server; it says why, in a clause with "it" for the address, and repeats no secret."""


class Address(NamedTuple):
    """A server's address in parts that can be connected to: all are ASCII, the port is a number."""

    scheme: str
    host: str
    """A name, or an IP address without brackets."""
    port: int
    path: str
    """Percent-encoded, without a slash at its end; empty for the root."""
    userinfo: bytes | None = None
    """`name:password`, decoded; it never stands in `url`."""

    @property
    def authority(self) -> str:
        """Host and port as a URL and a Host header have them: the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The address as it may be shown and sent: without a name and a password."""
        return f"{self.origin}{self.path}"

    @property
    def authorization(self) -> str | None:
        """What carries name and password in a request."""
        if self.userinfo is None:
            return None
        # Only for those who write a password into an address.
        from base64 import b64encode

        return f"Basic {b64encode(self.userinfo).decode()}"

    @property
    def is_near(self) -> bool:
        """Whether it means this machine, as far as its text tells; such a server is never asked through a proxy."""
        return is_loopback(self.host)


def parse_address(text: str, schemes: Sequence[str] = ("http", "https")) -> Address:
    """The parts of an address.

    A query is left out: see `has_query`.

    Raises:
        BadAddress: no server can be meant by it.
    """
    if re.search(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\]", text):
        raise BadAddress("it has a blank, a backslash or a control character in it")
    found = re.fullmatch(_PARTS, text)
    if found is None or found[1].lower() not in schemes:
        raise BadAddress(f"it does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    scheme = found[1].lower()
    userinfo, at, place = found[2].rpartition("@")
    host, port = _host_and_port(place)
    return Address(
        scheme,
        _host(host),
        _PORTS[scheme] if port is None else port,
        _path(found[3].rstrip("/")),
        _decoded(userinfo) if at else None,
    )


def has_query(text: str) -> bool:
    """Whether an address has a query or a fragment, which nothing can be appended to."""
    return "?" in text or "#" in text


def _path(path: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9/%:@!$&'()*+,;=~._-]*", path):
        return path
    # Only for the few whose path has to be encoded, and start-up counts.
    from urllib.parse import quote

    return quote(path, safe="/%:@!$&'()*+,;=~-._")


def _decoded(userinfo: str) -> bytes:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(userinfo)


def _host_and_port(place: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", place)
    if found is None:
        if place.count(":") > 1 and not set(place) & set("[]"):
            raise BadAddress("an IPv6 address stands in brackets, as in http://[::1]:8000")
        raise BadAddress("the brackets around its host do not match")
    host, port = found[1], found[2]
    if not port:
        return host, None
    # Nothing but ASCII's: int() also reads other scripts' digits, blanks and underscores.
    if not re.fullmatch(r"[0-9]+", port) or len(port) > 5 or not 1 <= int(port) <= _HIGHEST_PORT:
        raise BadAddress(f"its port has to be a number from 1 to {_HIGHEST_PORT}")
    return host, int(port)


def _host(host: str) -> str:
    if not host:
        raise BadAddress("it has no host")
    if host.startswith("["):
        # Only needed for an unusual host, and start-up counts.
        from ipaddress import IPv6Address

        try:
            return str(IPv6Address(host[1:-1])) if "%" not in host else _refused()
        except ValueError:
            raise BadAddress("what stands in its brackets is not an IPv6 address") from None
    name = host
    if not host.isascii() or "xn--" in host.lower():
        try:
            name = host.encode("idna").decode()
            name.encode().decode("idna")
        except UnicodeError:
            raise BadAddress("its host is not a name that can be looked up") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(re.fullmatch(_NAME, label) for label in labels):
        raise BadAddress("its host is not a name that can be looked up")
    if labels[-1].isdigit() and not _is_ipv4(labels):
        raise BadAddress("its host is not an IPv4 address")
    return name.lower()


def _refused() -> str:
    raise ValueError


def _is_ipv4(labels: Sequence[str]) -> bool:
    return len(labels) == 4 and all(
        label.isdigit() and len(label) <= 3 and int(label) <= 255 and (label == "0" or label[0] != "0")
        for label in labels
    )

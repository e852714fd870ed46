"""URLs that requests may be made of: http and https, a host, a port, and no name or password in them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.limits.hosts import host_name

_PORTS = {"http": 80, "https": 443}
_PARTS = r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?"
_LONGEST = 65_000


class WebAddress(NamedTuple):
    """A URL in parts. `target` is path and query, percent-encoded; a fragment isn't sent and is left out."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What has to be the same for credentials to be sent to it."""
        return self.scheme, self.host, self.port

    @property
    def shown(self) -> str:
        """The URL for errors: a query, in which a key may stand, is left out."""
        return self.url.partition("?")[0]

    @property
    def url(self) -> str:
        """The URL, its usual port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


def web_address(text: str) -> WebAddress:
    """The parts of a URL.

    Raises:
        InvalidRequest: it is none of http or https, has a name or a password in it, or makes no sense.
    """
    text = text.strip()
    if re.search(r"[\x00-\x20\x7f\\]", text) or len(text) > _LONGEST:
        raise InvalidRequest("the URL has a blank, a backslash or a control character in it, or is too long")
    found = re.fullmatch(_PARTS, text)
    if found is None:
        raise InvalidRequest(f"'{text[:200]}' is not a URL", hint="begin it with https://")
    scheme = found[1].lower()
    if scheme not in _PORTS:
        raise InvalidRequest(f"URLs of the kind {scheme}: are not fetched; http and https are")
    authority = found[2] or ""
    if "@" in authority:
        raise InvalidRequest(
            f"the URL has a name before the @ of {authority.rpartition('@')[2]!r}, which is not sent",
            hint="give names and passwords apart from the URL (http-requester: auth)",
        )
    host, port = _host_and_port(authority)
    path = quote(found[3] or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(found[4] or "", safe="/%:@!$&'()*+,;=~-._?[]{}|^`")
    return WebAddress(scheme, host_name(host), _PORTS[scheme] if port is None else port, path + query)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?", authority)
    if found is None or not found[1]:
        raise InvalidRequest(f"'{authority[:200]}' is not a host and a port")
    if not found[2]:
        return found[1], None
    if len(found[2]) > 5 or not 0 < int(found[2]) < 65_536:
        raise InvalidRequest(f"{found[2][:20]} is not a port: there are 1 to 65535")
    return found[1], int(found[2])

"""Which addresses of a configuration give no answer: a connection is opened and closed, nothing is asked."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from llmspell_protocol.addresses import Address, BadAddress, parse_address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.proxies import proxy_for

if TYPE_CHECKING:
    from llmspell_profiles.checking.validation import NamedServer
    from llmspell_profiles.problems import Remark

PATIENCE_S = 1.0


def dead_servers(servers: Sequence[NamedServer]) -> list[Remark]:
    """A remark for each server that can't be connected to; all are tried side by side, a second at most."""
    from llmspell_profiles.problems import Remark

    if not servers:
        return []
    with ThreadPoolExecutor(len(servers), thread_name_prefix="servers") as executor:
        reasons = list(executor.map(_why_dead, [server.url for server in servers]))
    return [
        Remark(
            server.place,
            f"no answer from {parse_address(server.url).url} ({reason})",
            server.details,
            f"llmspell config set providers.{server.provider}.enabled false switches it off",
        )
        for server, reason in zip(servers, reasons, strict=True)
        if reason is not None
    ]


def _why_dead(url: str) -> str | None:
    try:
        address = parse_address(url)
        if proxy_for(address) is not None:
            return None  # the proxy would answer in its place
    except (BadAddress, ConfigError):
        return None  # which others tell
    return _refusal(address)


def _refusal(address: Address) -> str | None:
    try:
        with socket.create_connection((address.host, address.port), PATIENCE_S):
            return None
    except TimeoutError:
        return f"nothing within {PATIENCE_S:g} s"
    except socket.gaierror:
        return "no such host"
    except OSError as error:
        return (error.strerror or str(error)).lower()

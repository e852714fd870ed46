"""The network of one call: every host is looked up once, checked by its addresses, and connected to by these alone.

What is checked is what is used: no name is checked first and looked up again by what connects to it. A host that isn't
named itself in the call's permissions has to have public addresses only. What is named wins over what is blocked above
it, and what is blocked over `*` and over domains.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.public_addresses import is_public
from llmspell_protocol.tools.permissions import Permissions, denied
from llmspell_tools.limits.hosts import HostList, host_name, is_address
from llmspell_tools.limits.web import Bounds, Retry, Web
from llmspell_tools.outcome import ToolFailure

Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a host; raises OSError where there is none."""

BLOCKED_SETTING = "tools.http_request.blocked_hosts"


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the system has for a name, in the order in which they are to be tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Network:
    """What one call may touch of the network. `tables` are those of `[tools]` that its tool asked for."""

    def __init__(
        self,
        permissions: Permissions,
        tables: Mapping[str, Mapping[str, Any]],
        *,
        resolver: Resolver = system_resolver,
        on_progress: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._allowed = HostList(permissions.net)
        self._blocked = HostList(permissions.blocked)
        self._tables = tables
        self._resolver = resolver
        self._on_progress = on_progress

    def demand(self, host: str, port: int) -> list[str]:
        """The checked addresses of a host; connect to them, and to no name.

        Raises:
            Forbidden: the call may not speak to this host, or to one of its addresses (`details.permission` is `net`).
            InvalidRequest: it is no host, or no port.
            ToolFailure: the name has no address.
        """
        name = self.demand_name(host, port)
        addresses = [name] if is_address(name) else self._looked_up(name, port)
        if not self._allowed.names(name, port):
            for address in addresses:
                self._demand_address(name, address, port)
        return addresses

    def connect(self, host: str, port: int, within_s: float) -> socket.socket:
        """A connection to a checked address of a host.

        Raises:
            Forbidden, InvalidRequest: see `demand`.
            ToolFailure: there is no such host, or none of its addresses can be connected to.
            TimeoutError: nothing answered in time.
        """
        addresses = self.demand(host, port)
        problem: OSError = OSError("no address")
        for address in addresses:
            try:
                return socket.create_connection((address, port), within_s / len(addresses))
            except OSError as error:
                problem = error
        if isinstance(problem, TimeoutError):
            raise TimeoutError(f"{host}:{port} did not answer within {within_s:g}s")
        raise ToolFailure(f"can't connect to {host_name(host)}:{port}: {_reason(problem)}", code="unavailable")

    def web(self, table: str = "http_request", *, domains_of: str | None = None) -> Web:
        """A client for HTTP that is held to `[tools.http_request]`, `[tools.network]` and a table of the tool's own.

        `table` names that one: its `user_agent`, `timeout_seconds`, `max_redirects` and `scraping_delay_ms` hold in
        place of the general ones. `allowed_domains` and `blocked_domains` of the table `domains_of` hold besides the
        permissions.
        """
        own, general = self._tables.get(table, {}), self._tables.get("http_request", {})
        network = self._tables.get("network", {})
        timed = table if "timeout_seconds" in own else "network"
        headers = {str(name): str(value) for name, value in general.get("default_headers", {}).items()}
        if "user_agent" in own:
            headers = {name: value for name, value in headers.items() if name.lower() != "user-agent"}
            headers["User-Agent"] = str(own["user_agent"])

        def check(host: str, port: int) -> Sequence[str]:
            if domains_of is not None:
                self.demand_domain(host, port, domains_of)
            return self.demand(host, port)

        return Web(
            check,
            Bounds(
                time_s=float(self._tables.get(timed, {}).get("timeout_seconds", 30)),
                time_setting=f"tools.{timed}.timeout_seconds",
                largest_bytes=int(general.get("max_request_size", 10_000_000)),
                max_redirects=int(own.get("max_redirects", general.get("max_redirects", 5))),
                verify=self.verifies,
                retry=Retry(attempts=1 + int(network.get("max_retries", 3))),
                headers=headers,
                pause_s=float(own.get("scraping_delay_ms", 0)) / 1000,
            ),
            on_progress=self._on_progress,
        )

    @property
    def verifies(self) -> bool:
        """Whether certificates are checked."""
        return bool(self._tables.get("network", {}).get("verify_ssl", True))

    def demand_name(self, host: str, port: int) -> str:
        """The host's one spelling (`host_name`), if the call may speak to it as far as its name tells.

        Raises:
            Forbidden, InvalidRequest: see `demand`.
        """
        name = host_name(host)
        if not 0 < port < 65_536:
            raise InvalidRequest(f"{port} is not a port: there are 1 to 65535")
        if self._blocked.names(name, port) or (self._blocked.has(name, port) and not self._allowed.names(name, port)):
            raise _blocked(name, "it is among the blocked hosts")
        if not self._allowed.has(name, port):
            raise denied("net", name)
        return name

    def demand_domain(self, host: str, port: int, table: str) -> None:
        """Raises `Forbidden` where `allowed_domains` or `blocked_domains` of a table leave a host out."""
        settings, name = self._tables.get(table, {}), host_name(host)
        if HostList(settings.get("blocked_domains", ())).has(name, port):
            raise _left_out(name, f"tools.{table}.blocked_domains", "it is among the blocked domains")
        if not HostList(settings.get("allowed_domains", ("*",))).has(name, port):
            raise _left_out(name, f"tools.{table}.allowed_domains", "Domain not in allowed list")

    def _demand_address(self, name: str, address: str, port: int) -> None:
        own = address if "%" in address else host_name(address)
        whose = "it" if own == name else f"{name} has this address, which"
        if self._blocked.names(own, port):
            raise _blocked(own, f"{whose} is among the blocked hosts")
        if not is_public(own) and not self._allowed.names(own, port):
            # The address and not the name, which may have another one tomorrow, is what can be granted.
            raise denied("net", own, why=f"{whose} is not a public address and has to be named to be reached")

    def _looked_up(self, name: str, port: int) -> list[str]:
        try:
            addresses = list(self._resolver(name, port))
        except (OSError, UnicodeError) as error:
            raise ToolFailure(f"{name} can't be found: {_reason(error)}", code="unavailable") from None
        if not addresses:
            raise ToolFailure(f"{name} has no address", code="unavailable")
        return addresses


def _blocked(name: str, why: str) -> Forbidden:
    error = denied("net", name, why=why, setting=BLOCKED_SETTING)
    error.hint = f"allow it with --allow-net={name}, or take it out of {BLOCKED_SETTING}"
    return error


def _left_out(name: str, setting: str, why: str) -> Forbidden:
    """No permission that could be granted to a call: a setting of the tool alone says it."""
    return Forbidden(
        f"Host blocked: {name}: {why}",
        hint=f"change the setting {setting}",
        details={"name": name, "setting": setting},
    )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()

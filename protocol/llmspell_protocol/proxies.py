"""Which proxy of the environment stands before a server: decided here for everything that speaks HTTP.

The rules are those of curl: `http_proxy`, `https_proxy` and `all_proxy`, in lower case before upper case, and hosts
that `no_proxy` names without one. Servers on this machine are never asked through a proxy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from llmspell_protocol.addresses import Address, BadAddress, parse_address
from llmspell_protocol.errors import ConfigError

KINDS = ("http", "https", "socks5", "socks5h")
SOCKS_PACKAGE = "socksio"
SOCKS_COMMAND = "pip install 'httpx[socks]'"
_SYSTEM = "the system's proxy settings"


class Proxy(NamedTuple):
    """A proxy, and the variable that names it."""

    address: Address
    variable: str

    @property
    def url(self) -> str:
        """Its address without a password, as it may be shown."""
        return self.address.url

    @property
    def login(self) -> tuple[str, str] | None:
        """The name and the password that it wants."""
        if self.address.userinfo is None:
            return None
        name, _, password = self.address.userinfo.decode("utf-8", "replace").partition(":")
        return name, password


def proxy_for(address: Address, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy through which a server has to be asked; None for none. Without `environment`: that of this process.

    Raises:
        ConfigError: the variable names something that can't be used; `details` has it.
    """
    variables = os.environ if environment is None else environment
    if address.is_near:
        return None
    named = next(_named(address.scheme, variables), None)
    if named is None:
        named = _of_the_system(address) if environment is None and sys.platform == "darwin" else None
    elif _is_exempt(address, variables.get("no_proxy") or variables.get("NO_PROXY") or ""):
        return None
    return None if named is None else _proxy(*named)


def check_proxies(environment: Mapping[str, str] | None = None) -> None:
    """Looks at every proxy of the environment, for clients that make use of all of them as soon as they are made.

    Raises:
        ConfigError: one can't be used.
    """
    variables = os.environ if environment is None else environment
    for scheme in ("http", "https"):
        for variable, value in _named(scheme, variables):
            _proxy(variable, value)


def _named(scheme: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in (f"{scheme}_proxy", "all_proxy"):
        if name in variables:
            # Empty in lower case: not even the one in upper case.
            if variables[name].strip():
                yield name, variables[name].strip()
            continue
        # Where programs are started for requests from outside, HTTP_PROXY is a header of theirs.
        is_header = name == "http_proxy" and "REQUEST_METHOD" in variables
        if (value := variables.get(name.upper(), "").strip()) and not is_header:
            yield name.upper(), value


def _proxy(variable: str, value: str) -> Proxy:
    scheme, separator, _ = value.partition("://")
    hint = f"correct {variable}, take it away, or name the server's host in NO_PROXY"
    if separator and scheme.lower() not in KINDS:
        raise ConfigError(
            f"{variable} names a proxy of a kind that can't be used ({scheme}); {', '.join(KINDS)} can",
            hint=hint,
            details={"variable": variable},
        )
    try:
        address = parse_address(value if separator else f"http://{value}", KINDS)
    except BadAddress as error:
        raise ConfigError(
            f"{variable} is not the address of a proxy: {error}", hint=hint, details={"variable": variable}
        ) from None
    if address.scheme.startswith("socks"):
        _demand_socks(variable, address.scheme)
    return Proxy(address, variable)


def _demand_socks(variable: str, scheme: str) -> None:
    from importlib.util import find_spec

    if find_spec(SOCKS_PACKAGE) is None:
        raise ConfigError(
            f"{variable} names a proxy of the kind {scheme}, which needs a package that is not installed",
            hint=f"{SOCKS_COMMAND}, or name the server's host in NO_PROXY",
            details={"variable": variable, "package": SOCKS_PACKAGE},
        )


def _is_exempt(address: Address, no_proxy: str) -> bool:
    return any(_matches(address, entry) for entry in no_proxy.replace(",", " ").split())


def _matches(address: Address, entry: str) -> bool:
    if entry == "*":
        return True
    if "://" in entry:
        scheme, _, entry = entry.partition("://")
        if scheme.lower() not in (address.scheme, "all"):
            return False
    if "/" in entry:
        return _in_network(address.host, entry)
    host, port = entry, ""
    if entry.startswith("[") or entry.count(":") == 1:
        host, _, port = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
    if port and port != str(address.port):
        return False
    host = host.strip("[]").lower().removeprefix("*").removeprefix(".").removesuffix(".")
    own = address.host.removesuffix(".")
    return bool(host) and (own == host or own.endswith(f".{host}") or _is_same_ip(own, host))


def _is_same_ip(one: str, other: str) -> bool:
    if ":" not in one or ":" not in other:
        return False
    from ipaddress import ip_address

    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False


def _in_network(host: str, network: str) -> bool:
    # Only for who names networks.
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _of_the_system(address: Address) -> tuple[str, str] | None:
    """What a Mac's network settings say."""
    from urllib.request import getproxies, proxy_bypass

    value = getproxies().get(address.scheme)
    return None if value is None or proxy_bypass(address.host) else (_SYSTEM, value)

"""Which IP addresses are public: everything that keeps callers away from this machine and its network asks here.

Knows addresses and no names: a name is judged by the addresses that it has when it is connected to.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# What IANA's registries of special addresses have beyond what every supported Python's `is_global` knows.
# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
_NOT_PUBLIC_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NOT_PUBLIC_V6 = (
    IPv6Network("2001::/23"),  # Teredo and other tunnels
    IPv6Network("2002::/16"),  # 6to4: leads to whatever IPv4 address is in it
    IPv6Network("3fff::/20"),  # documentation
)
_UNICAST_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet's.

    IPv6 addresses that stand for an IPv4 one (mapped, NAT64) are what that is; tunnels and zones never are.

    Raises:
        ValueError: the text is no address.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return _is_public_v4(ip)
    inner = _inside(ip)
    if inner is not None:
        return ip.scope_id is None and _is_public_v4(inner)
    return (
        ip in _UNICAST_V6
        and ip.scope_id is None
        and ip.is_global
        and not any(ip in network for network in _NOT_PUBLIC_V6)
    )


def _is_public_v4(ip: IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC_V4)


def _inside(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a network turns an IPv6 one into."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped

"""Which hosts are this machine."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine, as far as its text tells; no name is looked up."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return True
    # Only needed for an unusual host, and start-up counts.
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

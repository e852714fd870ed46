"""Tells the service manager that runs this process how it is doing, as sd_notify(3) describes. Knows no kernel."""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def tell_service_manager(state: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Sends a state such as `READY=1` to the socket that `NOTIFY_SOCKET` names; does nothing without one.

    A manager that can't be reached is not an error: it sees the process anyway.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # Only a service needs sockets of its own.
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as manager:
        try:
            # A leading @ stands for the zero byte of Linux's abstract names.
            manager.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            pass

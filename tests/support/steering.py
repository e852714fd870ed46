"""What tests ask of a kernel as such: its status, a reload, and to wait for what nothing announces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmspell_protocol.client.sync import Client

_LOOKS = 10_000


def ask_kernel(client: Client, action: str, **content: Any) -> dict[str, Any]:
    """The reply to a `kernel_request`."""
    return dict(client.request("kernel_request", {"action": action, **content}).result().content)


def wait_until(client: Client, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The kernel's status when something holds in it; each look is a round trip, so nothing spins."""
    for _ in range(_LOOKS):
        status = ask_kernel(client, "status")
        if holds(status):
            return status
    raise AssertionError(f"it never came to be; at last: {status}")

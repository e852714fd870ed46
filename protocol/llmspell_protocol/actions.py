"""Which actions our own requests have and the right that each one needs. Their contents are in `requests.py`.

Apart from it because dispatch needs this for every request and classes for few: making them all takes 30 ms.
"""

from __future__ import annotations

from typing import Literal

Capability = Literal["infer", "load", "pull", "execute", "admin"]
ALL_CAPABILITIES: frozenset[Capability] = frozenset({"infer", "load", "pull", "execute", "admin"})
SCRIPT_CAPABILITIES: frozenset[Capability] = frozenset({"infer", "load", "pull", "execute"})
"""What a script may ask for at most; never more than the one who started it."""

ACTIONS: dict[tuple[str, str], Capability | None] = {
    ("model", "list"): "infer",
    ("model", "pull"): "pull",
    ("model", "status"): "infer",
    ("model", "info"): "infer",
    ("model", "remove"): "admin",
    ("model", "available"): "infer",
    ("model", "install_ollama"): "admin",
    ("model", "load"): "load",
    ("model", "unload"): "load",
    ("model", "ps"): "infer",
    ("model", "verify"): "pull",
    ("model", "chat"): "infer",
    ("model", "generate"): "infer",
    ("model", "embed"): "infer",
    ("model", "tokenize"): "infer",
    ("agent", "create"): "execute",
    ("agent", "execute"): "execute",
    ("agent", "list"): "execute",
    ("agent", "info"): "execute",
    ("agent", "reset"): "execute",
    ("agent", "delete"): "execute",
    ("kernel", "status"): None,
    ("kernel", "metrics"): None,
    ("kernel", "queue"): "admin",
    ("kernel", "cancel"): None,
    ("kernel", "drain"): "admin",
    ("kernel", "reload_config"): "admin",
    ("kernel", "config"): "admin",
    ("kernel", "logs"): "admin",
}
"""(area, action) → the capability it needs (None: anyone).

`kernel cancel` is for anyone because it reaches only requests of the same session, others only with `admin`.
"""


def actions_of(area: str) -> list[str]:
    """The actions of an area, in order of the alphabet."""
    return sorted(action for its_area, action in ACTIONS if its_area == area)

"""What a service manager is to run: one kernel in the foreground. Knows no service manager's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Service(NamedTuple):
    """One kernel as a service.

    `command` is the kernel's command line, `environment` what it needs beyond what the manager gives. `user` is whom a
    service of the whole system runs as; None: it is the user's own service.
    """

    name: str
    kernel_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str | None = None

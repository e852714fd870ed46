"""Options of the commands about services: which manager has it, whose it is, and its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from llmspell_cli.autostart.service_manager import SERVICE_TYPES


def service_options(system_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command `service_type`, `system` and `name`; `system_help` says what `--system` means there."""

    def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option(
                    "--service-type",
                    type=click.Choice(SERVICE_TYPES),
                    default="auto",
                    metavar="TYPE",
                    help="systemd, launchd or auto (what this platform has).",
                ),
                click.option("--system", is_flag=True, help=system_help),
                click.option(
                    "--name", default="llmspell-kernel", metavar="NAME", help="The service (llmspell-kernel)."
                ),
            )
        ):
            command = option(command)
        return command

    return with_options

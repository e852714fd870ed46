"""`llmspell kernel uninstall-service`: stops a service of systemd or launchd and removes its file."""

from __future__ import annotations

from contextlib import suppress

import click

from llmspell_cli.autostart.service import Service
from llmspell_cli.autostart.service_manager import check_name, manager_of, run_command, unwritable
from llmspell_cli.commands.kernel.service_options import service_options
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import LlmspellError, NotFound


@click.command(
    "uninstall-service",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell kernel uninstall-service", "stop it and remove its file"),
        ("llmspell kernel uninstall-service --name spell", "one of another name"),
    ),
)
@service_options("One of the whole machine; default: yours.")
def uninstall_service(options: Options, service_type: str, system: bool, name: str) -> None:
    """Stop a service and remove its file; models, settings and logs stay."""
    output = Output(options)
    check_name("--name", name)
    kind = manager_of(service_type, name, system=system)
    if not kind.path.exists():
        raise NotFound(
            f"there is no service '{name}': {kind.path} is not there",
            hint="--name, --system or --service-type names another one",
            details={"path": str(kind.path), "name": name},
        )
    service = Service(name=name, kernel_id=name, command=(), environment={}, user="" if system else None)
    stop, _remove_file, *reread = kind.commands(service, kind.path)["remove"]
    # One that does not run, or a manager that is not there, is no reason to keep the file.
    stopped = False
    with suppress(LlmspellError):
        run_command(kind, stop)
        stopped = True
    try:
        kind.path.unlink()
    except OSError as error:
        raise unwritable(kind.path, error) from None
    for command in reread:
        with suppress(LlmspellError):
            run_command(kind, command)
    if output.json:
        output.document(
            {
                "status": "removed",
                "service_type": kind.service_type,
                "name": name,
                "path": str(kind.path),
                "stopped": stopped,
            }
        )
        return
    output.line(f"✓ Service file removed: {kind.path}")
    if not stopped:
        output.line(f"  {kind.service_type} could not stop it; it may not have run")

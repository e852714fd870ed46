"""`llmspell kernel install-service`: writes the file with which systemd or launchd runs a kernel."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from llmspell_cli.autostart.service import Service
from llmspell_cli.autostart.service_manager import Manager, check_name, manager_of, run_command, unwritable
from llmspell_cli.commands.kernel.service_options import service_options
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import ConfigError, LlmspellError, ProfileNotFound

_STEPS = {
    "enable": "Start it at every login",
    "start": "Start it now",
    "watch": "Watch it",
    "reload": "Let it read its settings again",
    "stop": "Stop it",
    "remove": "Remove it",
}
_ENABLE_SYSTEM = "Start it with the machine"


@click.command(
    "install-service",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell kernel install-service --dry-run", "show the file"),
        ("llmspell -p candle kernel install-service --start", "a service of yours"),
        ("llmspell kernel install-service --system", "one of the machine, as root"),
    ),
)
@service_options("For the whole machine; default: for you.")
@click.option("--port", type=click.IntRange(0, 65531), default=9555, metavar="N", help="Shell port (9555).")
@click.option("--id", "kernel_id", metavar="ID", help="Kernel id (NAME-PORT).")
@click.option("--log-file", metavar="FILE", help="Log of the kernel.")
@click.option("--pid-file", metavar="FILE", help="Where the kernel writes its process id.")
@click.option("--enable", is_flag=True, help="Start it at login; with --system: at boot.")
@click.option("--start", is_flag=True, help="Start it now.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--dry-run", is_flag=True, help="Print the file and write nothing.")
def install_service(
    options: Options,
    service_type: str,
    system: bool,
    name: str,
    port: int,
    kernel_id: str | None,
    log_file: str | None,
    pid_file: str | None,
    enable: bool,
    start: bool,
    force: bool,
    dry_run: bool,
) -> None:
    """Install a kernel as a service of systemd or launchd."""
    output = Output(options)
    check_name("--name", name)
    check_name("--id", kernel_id or name)
    service = Service(
        name=name,
        kernel_id=kernel_id or f"{name}-{port}",
        command=_command(options, port, kernel_id or f"{name}-{port}", log_file, pid_file),
        environment=_environment(),
        user=_user() if system else None,
    )
    kind = manager_of(service_type, name, system=system)
    text = kind.text(service)
    if dry_run:
        _show_file(output, kind, service, text)
        return
    _install(output, kind.path, text, force=force, only_once=not (enable or start))
    commands = kind.commands(service, kind.path)
    if kind.reread and (enable or start):
        run_command(kind, kind.reread)
    for wanted, step in ((enable, "enable"), (start, "start")):
        if wanted:
            for command in commands[step]:
                run_command(kind, command)
    _report(output, kind, service, commands, enabled=enable, started=start)


def _command(
    options: Options, port: int, kernel_id: str, log_file: str | None, pid_file: str | None
) -> tuple[str, ...]:
    """The command line of the kernel, which runs in the foreground."""
    chosen: list[str] = []
    if options.profile is not None:
        chosen = ["--profile", _known_profile(options.profile)]
    elif options.config is not None:
        chosen = ["--config", _existing(options.config)]
    trace = ["--trace", options.trace] if options.trace is not None else []
    files = [
        word
        for option, path in (("--log-file", log_file), ("--pid-file", pid_file))
        if path is not None
        for word in (option, os.path.abspath(path))
    ]
    return (*_program(), *chosen, *trace, "kernel", "start", "--port", str(port), "--id", kernel_id, *files)


def _program() -> list[str]:
    """How this very llmspell is called from anywhere."""
    script = Path(sys.executable).with_name("llmspell")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "llmspell_cli.main"]


def _known_profile(name: str) -> str:
    from llmspell_profiles.loading.profiles import canonical_name, not_found

    if canonical_name(name) is None:
        raise ProfileNotFound(not_found(name), details={"profile": name})
    return name


def _existing(config: str) -> str:
    if not os.path.isfile(config):
        raise ConfigError(f"configuration file not found: {config}", details={"file": config})
    return os.path.abspath(config)


def _environment() -> dict[str, str]:
    """What the service needs to use the same files as this user's commands."""
    from llmspell_profiles.loading.home import llmspell_home

    return {"LLMSPELL_HOME": str(llmspell_home(os.environ))} if os.environ.get("LLMSPELL_HOME") else {}


def _user() -> str:
    """Whom a service of the whole machine runs as: who called, also through sudo."""
    # Only a service of the machine needs names of users.
    import pwd

    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())  # As good as a name.


def _install(output: Output, path: Path, text: str, *, force: bool, only_once: bool) -> None:
    """Writes the file, whole or not at all, for everyone to read: it holds no secret.

    One that is there is kept without `force`; only what would write it and do nothing else (`only_once`) minds.

    Raises:
        LlmspellError: it is there already, and not as it would be written.
        Forbidden: this user may not write there.
    """
    try:
        there = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        there = None  # Where it can't even be looked at, it can't be written: told below.
    if there == text:
        return
    if there is not None and not force:
        if only_once:
            raise LlmspellError(
                f"Service file already exists at: {path}", hint="Use --force to override", details={"path": str(path)}
            )
        output.note(f"{path} stays as it is; --force replaces it by what this command line says", path=str(path))
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise unwritable(path, error) from None


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(unfinished, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _show_file(output: Output, kind: Manager, service: Service, text: str) -> None:
    if output.json:
        output.document({**_document("dry-run", kind, service, enabled=False, started=False), "content": text})
    else:
        output.write(text)


def _report(
    output: Output,
    kind: Manager,
    service: Service,
    commands: Mapping[str, Sequence[Sequence[str]]],
    *,
    enabled: bool,
    started: bool,
) -> None:
    if output.json:
        output.document(_document("installed", kind, service, enabled=enabled, started=started))
        return
    output.line(f"✓ Service file installed: {kind.path}")
    for done, text in ((enabled, "enabled"), (started, "started")):
        if done:
            output.line(f"✓ Service {text}: {service.name}")
    for step, title in _STEPS.items():
        if not (enabled and step == "enable") and not (started and step == "start"):
            output.line()
            output.line(f"{_ENABLE_SYSTEM if step == 'enable' and service.user is not None else title}:")
            for command in commands[step]:
                output.line(f"  {shlex.join(command)}")


def _document(status: str, kind: Manager, service: Service, *, enabled: bool, started: bool) -> dict[str, Any]:
    return {
        "status": status,
        "service_type": kind.service_type,
        "name": service.name,
        "path": str(kind.path),
        "enabled": enabled,
        "started": started,
    }

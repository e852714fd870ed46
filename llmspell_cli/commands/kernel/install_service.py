"""`llmspell kernel install-service`: writes the file with which systemd or launchd runs a kernel."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from llmspell_cli.autostart.service import Service
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import ConfigError, Forbidden, InvalidRequest, LlmspellError, ProfileNotFound, Unsupported

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_STEPS = {
    "enable": "Start it at every login",
    "start": "Start it now",
    "watch": "Watch it",
    "reload": "Let it read its settings again",
    "stop": "Stop it",
    "remove": "Remove it",
}
_ENABLE_SYSTEM = "Start it with the machine"


class _Kind(NamedTuple):
    """One service manager, for the user or the whole system."""

    service_type: str
    path: Path
    text: Callable[[Service], str]
    commands: Callable[[Service, Path], Mapping[str, Sequence[Sequence[str]]]]
    reread: Sequence[str]
    """The command that makes the manager read its files again."""


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
@click.option(
    "--service-type",
    type=click.Choice(["systemd", "launchd", "auto"]),
    default="auto",
    metavar="TYPE",
    help="systemd, launchd or auto (what this platform has).",
)
@click.option("--system", is_flag=True, help="For the whole machine; default: for you.")
@click.option("--name", default="llmspell-kernel", metavar="NAME", help="The service (llmspell-kernel).")
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
    for option, text in (("--name", name), ("--id", kernel_id or name)):
        if not _NAME.match(text):
            raise InvalidRequest(f"{option}: '{text}' has other characters than letters, digits, '-' and '_'")
    service = Service(
        name=name,
        kernel_id=kernel_id or f"{name}-{port}",
        command=_command(options, port, kernel_id or f"{name}-{port}", log_file, pid_file),
        environment=_environment(),
        user=_user() if system else None,
    )
    kind = _kind(service_type, name, system=system)
    text = kind.text(service)
    if dry_run:
        _show_file(output, kind, service, text)
        return
    _write(kind.path, text, force=force)
    commands = kind.commands(service, kind.path)
    if kind.reread and (enable or start):
        _run(kind, kind.reread)
    for wanted, step in ((enable, "enable"), (start, "start")):
        if wanted:
            for command in commands[step]:
                _run(kind, command)
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


def _kind(service_type: str, name: str, *, system: bool) -> _Kind:
    """The service manager that is meant.

    Raises:
        Unsupported: `auto` on a platform without a known service manager.
    """
    if service_type == "auto":
        service_type = {"linux": "systemd", "darwin": "launchd"}.get(sys.platform, "")
    # Needed here only.
    from llmspell_profiles.loading.home import known_user_home, user_home

    home = user_home(os.environ) if not system else known_user_home(os.environ) or Path("/")
    if service_type == "systemd":
        from llmspell_cli.autostart import systemd_unit

        path = systemd_unit.unit_path(name, system=system, env=os.environ, home=home)
        reread = [*systemd_unit.systemctl(system=system), "daemon-reload"]
        return _Kind(service_type, path, systemd_unit.unit_text, systemd_unit.commands, reread)
    if service_type == "launchd":
        from llmspell_cli.autostart import launchd_agent

        path = launchd_agent.plist_path(name, system=system, home=home)
        text = partial(launchd_agent.plist_text, home=home)
        return _Kind(service_type, path, text, launchd_agent.commands, ())
    raise Unsupported(
        f"services are installed for systemd (Linux) and launchd (macOS), not on {sys.platform}",
        hint="llmspell kernel start --daemon",
    )


def _write(path: Path, text: str, *, force: bool) -> None:
    """Writes the file, whole or not at all, for everyone to read: it holds no secret.

    Raises:
        LlmspellError: it is there already.
        Forbidden: this user may not write there.
    """
    if path.exists() and not force:
        raise LlmspellError(
            f"Service file already exists at: {path}", hint="Use --force to override", details={"path": str(path)}
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise Forbidden(
            f"can't write {path}: {error.strerror}",
            hint="call it through sudo" if denied and os.geteuid() else None,
            details={"path": str(path)},
        ) from None


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


def _run(kind: _Kind, command: Sequence[str]) -> None:
    """Runs one of the manager's commands.

    Raises:
        LlmspellError: it failed, or there is no such program; the file has been written.
    """
    hint = f"the file is there, so this can be tried again: {shlex.join(command)}"
    details = {"path": str(kind.path), "command": list(command)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unsupported(f"there is no {command[0]} on this machine", hint=hint, details=details) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise LlmspellError(f"{shlex.join(command)}: {said}", hint=hint, details=details)


def _show_file(output: Output, kind: _Kind, service: Service, text: str) -> None:
    if output.json:
        output.document({**_document("dry-run", kind, service, enabled=False, started=False), "content": text})
    else:
        output.write(text)


def _report(
    output: Output,
    kind: _Kind,
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


def _document(status: str, kind: _Kind, service: Service, *, enabled: bool, started: bool) -> dict[str, Any]:
    return {
        "status": status,
        "service_type": kind.service_type,
        "name": service.name,
        "path": str(kind.path),
        "enabled": enabled,
        "started": started,
    }

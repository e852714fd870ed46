"""`llmspell model status`: the command whose start-up time is watched; it loads what it needs and no more."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import BackendNotConfigured, BackendUnavailable


@click.command(
    "status",
    cls=Command,
    examples=(
        ("llmspell model status", "both backends"),
        ("llmspell model status --backend ollama", "fails if it is down"),
    ),
)
@click.option("--backend", metavar="NAME", help="Only this backend; fails if it is down.")
@format_option("text", "json", "pretty")
def status(options: Options, backend: str | None) -> int:
    """Show whether backends can be used."""
    output = Output(options)
    backend = None if backend == "all" else backend
    with session(options, output) as opened:
        backends: dict[str, dict[str, Any]] = opened.model("status", backend=backend)["backends"]
    if output.json:
        output.origin = {}  # The document's keys are names of backends, and one may be called `mode`.
        output.document(backends)
    else:
        _show(output, backends)
    return _exit_status(backends[backend]) if backend else 0


def _exit_status(health: dict[str, Any]) -> int:
    """What one named backend's state means for scripts; the report itself has said why."""
    if not health["configured"]:
        return BackendNotConfigured.exit_status
    return 0 if health.get("ready", health.get("running")) else BackendUnavailable.exit_status


def _show(output: Output, backends: dict[str, dict[str, Any]]) -> None:
    rows = [(_table_row if output.pretty else _line)(name, health) for name, health in backends.items()]
    output.table(("BACKEND", "STATE", "WHERE", "WITH", "MODELS"), rows, heading=False, gap=3)
    for name, health in backends.items():
        # With one of several servers down the backend is usable, and the failure should still be seen.
        if health.get("reason") and _state(name, health)[1] is None:
            output.warning(f"{name}: {health['reason']}")


def _line(name: str, health: dict[str, Any]) -> tuple[str, ...]:
    state, reason = _state(name, health)
    if reason is not None:
        return (name, f"{state} ({reason})" if reason else state)
    return (name, state, *_particulars(health))


def _table_row(name: str, health: dict[str, Any]) -> tuple[str, ...]:
    state, reason = _state(name, health)
    return (name, state, *_particulars(health)) if reason is None else (name, state, "", "", reason)


def _state(name: str, health: dict[str, Any]) -> tuple[str, str | None]:
    """The word for a backend's state, and why it can't be used (None: it can)."""
    if not health["configured"]:
        return "not configured", f"llmspell -p {name} …"
    word = "running" if "running" in health else "ready"
    return (word, None) if health[word] else (f"not {word}", health.get("reason") or "")


def _particulars(health: dict[str, Any]) -> tuple[str, str, str]:
    """Where it runs, with what, and its models."""
    models = _models(health.get("available_models"), health.get("loaded"))
    if "running" in health:
        version = health.get("version")
        return health.get("base_url") or "-", f"version {version}" if version else "-", models
    return health.get("device") or "-", ", ".join(health.get("engines") or ()) or "-", models


def _models(count: int | None, loaded: list[str] | None) -> str:
    text = f"{count or 0} model{'' if count == 1 else 's'}"
    return f"{text}, {len(loaded)} loaded: {', '.join(loaded)}" if loaded else text

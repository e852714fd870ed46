"""`llmspell model ps`."""

from __future__ import annotations

import re
from typing import Any

import click

from llmspell_cli.commands.model.context import context_text
from llmspell_cli.connect import resident_session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import duration, size


@click.command(
    "ps",
    cls=Command,
    examples=(
        ("llmspell model ps", "what the running kernel holds"),
        ("llmspell model ps --connect work --json", "another one, for programs"),
    ),
)
@format_option("text", "json", "pretty")
def ps(options: Options) -> None:
    """Show loaded models: what they hold, why they stay and when they go."""
    output = Output(options)
    with resident_session(options, output, about_loaded=True) as opened:
        reply = opened.model("ps")
    if output.json:
        output.document(reply)
        return
    if not reply["models"]:
        output.line("No models loaded")
        return
    headers = ("MODEL", "BACKEND", "ENGINE", "DEVICE", "MEMORY", "SLOTS", "QUEUE", "UNTIL")
    output.table(headers, [_row(model) for model in reply["models"]])
    if reply.get("budget_bytes") is not None:
        used, budget = reply.get("used_bytes") or 0, reply["budget_bytes"]
        output.line(f"Memory: {size(used)} of {size(budget)} budget")
        if used > budget:
            output.warning(
                "more than models may hold (models.memory_budget_bytes); llmspell kernel logs tells what was done"
            )
    for model in reply["models"]:
        for remark in remarks(model):
            output.prose(f"{model['model']}: {remark}")


def remarks(model: dict[str, Any]) -> list[str]:
    """What stands below the table: why a model stays, its context, what is to be known, and its drafts."""
    reason = [model["reason"]] if model.get("reason") else []
    reason += [context] if (context := context_text(model)) else []
    reason += model.get("warnings") or ()
    if notebooks := model.get("notebooks"):
        reason.append(f"used by notebook {', '.join(notebooks)}")
    if not model.get("draft_tokens"):
        return reason
    return [*reason, f"{model['accepted_tokens']} of {model['draft_tokens']} drafted tokens accepted"]


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    return (
        model["model"],
        model["backend"],
        model["engine"],
        model["device"],
        size(model.get("memory_bytes") or model.get("estimated_bytes")),
        f"{model['busy_slots']}/{model['slots']}",
        str(model["queue"]),
        _until(model),
    )


def _until(model: dict[str, Any]) -> str:
    """When it goes, and the first words of why; the whole reason stands below the table."""
    state = re.split("[,:;]", model.get("reason") or "")[0]
    if model.get("pinned"):
        return "pinned"
    if model.get("expires_at") is None:
        return state or "-"
    # Only here is a time computed; importing datetime costs every other command.
    from datetime import UTC, datetime

    left = datetime.fromisoformat(model["expires_at"]) - datetime.now(UTC)
    return f"{duration(left.total_seconds())} ({state})" if state else duration(left.total_seconds())

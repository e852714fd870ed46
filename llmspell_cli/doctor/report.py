"""Findings as people and programs read them."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmspell_cli.doctor.finding import Finding
from llmspell_cli.terminal.output import Output, room

_MARKS = {"ok": "✓", "warn": "⚠", "fail": "✗", "skip": "-"}
_NAME_COLUMNS = 11


def document(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """The one document of JSON mode."""
    counts = Counter(finding.status for finding in findings.values())
    return {
        "ok": not counts["fail"],
        "checks": [
            {
                "name": name,
                "status": finding.status,
                "message": finding.message,
                "hint": finding.hint,
                "details": dict(finding.details),
            }
            for name, finding in findings.items()
        ],
        "summary": {status: counts[status] for status in ("ok", "warn", "fail", "skip")},
    }


def show(output: Output, findings: Mapping[str, Finding]) -> None:
    """A line a check, a hint below those that found something, and the sum."""
    for name, finding in findings.items():
        _line(output, f"{_MARKS[finding.status]} {name:<{_NAME_COLUMNS}} ", finding.message)
        if finding.status in ("warn", "fail") and finding.hint:
            output.prose(f"  Hint: {finding.hint}")
    counts = Counter(finding.status for finding in findings.values())
    warnings = f"{counts['warn']} warning{'' if counts['warn'] == 1 else 's'}"
    skipped = f", {counts['skip']} skipped" if counts["skip"] else ""
    output.line(f"{counts['ok']} ok, {warnings}, {counts['fail']} failed{skipped}")


def _line(output: Output, head: str, message: str) -> None:
    """A line, whose rest stands below its beginning where the terminal is narrow."""
    width = room(sys.stdout)
    if width is None:
        output.line(head + " ".join(message.split()))
        return
    lines = textwrap.wrap(message, max(20, width - len(head)), break_long_words=False, break_on_hyphens=False)
    output.lines(head + ("\n" + " " * len(head)).join(lines))

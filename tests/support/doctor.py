"""What `llmspell doctor` finds, by the names of its checks."""

from __future__ import annotations

from typing import Any

from tests.support.command_line import llmspell


def doctor(*words: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status and the findings by name, without a look at the network."""
    done = llmspell("doctor", "--offline", "--json", *words, env=env)
    assert done.out, done.err
    return done.status, {check["name"]: check for check in done.document["checks"]}


def said(finding: dict[str, Any]) -> tuple[str, str]:
    """A finding's status and message."""
    return finding["status"], finding["message"]

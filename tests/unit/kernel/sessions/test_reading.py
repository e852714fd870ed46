"""What a session is called after: what a person would call the request."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.sessions.reading import title_of

_STEPS = [{"name": "add", "tool": "calculator", "input": {"input": "2 + 3"}}]


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ({"definition": {"type": "sequential", "name": "sum", "steps": _STEPS}, "input": {"a": 1}}, "sum"),
        ({"definition": {"type": "sequential", "name": "sum", "steps": _STEPS}, "input": "a text"}, "sum"),
        ({"definition": {"type": "loop", "steps": _STEPS}}, "loop"),
        ({"definition": {}}, "workflow"),
        ({"definition": {"name": "x" * 5000}}, "x" * 59 + "…"),
        ({"workflow": "kept", "input": {"a": 1}}, "kept"),
    ],
)
def test_a_session_that_begins_with_a_workflow_is_called_after_it(content: dict[str, Any], title: str) -> None:
    assert title_of("workflow_request", {"action": "execute", **content}, {}) == title

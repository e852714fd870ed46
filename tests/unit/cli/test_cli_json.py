"""The page about JSON covers every command, and the reading of it notices what differs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.command_cases import CASES, asks_for_json, command_of
from tests.support.command_tree import leaf_commands
from tests.support.json_reference import problems, problems_of_stderr, schemas

STOPPED = {"id": "a", "pid": 1, "forced": False, "duration_ms": 3, "notebooks": []}


def test_every_command_has_its_section() -> None:
    missing = [" ".join(path) for path in leaf_commands() if " ".join(path) not in schemas()]
    assert missing == [], "add a section to docs/reference/cli-json.md (without tables where there is no document)"


def test_every_documented_document_is_printed_by_a_case() -> None:
    cases = {" ".join(command_of(case)) for case in CASES.values() if asks_for_json(case)}
    unseen = [
        " ".join(path) for path in leaf_commands() if schemas().get(" ".join(path)) and " ".join(path) not in cases
    ]
    assert unseen == [], "add a case with --json to tests/support/command_cases.py"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"stopped": [STOPPED], "failed": [], "count": 1}, None),
        ({"stopped": [{**STOPPED, "pid": None}], "failed": [], "count": 1}, None),
        ({"stopped": [], "failed": []}, ".count is missing"),
        ({"stopped": [], "failed": [], "count": 0, "more": 1}, ".more is not documented"),
        ({"stopped": [], "failed": [], "count": "0"}, ".count is '0', documented as integer"),
        ({"stopped": [], "failed": [], "count": True}, ".count is True, documented as integer"),
        (
            {"stopped": [{**STOPPED, "forced": 1}], "failed": [], "count": 1},
            ".stopped[0].forced is 1, documented as boolean",
        ),
    ],
)
def test_a_document_that_differs_is_noticed(document: dict[str, Any], problem: str | None) -> None:
    assert problems("kernel stop", document) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("line", "sound"),
    [
        ({"warning": "w"}, True),
        ({"error": {"code": "c", "message": "m", "hint": None, "details": {}}}, True),
        ({"event": "progress", "phase": "loading"}, True),
        ({"error": {"code": "c", "message": "m", "hint": None}}, False),
        ({"warning": "w", "log": "l"}, False),
        ({}, False),
    ],
)
def test_a_line_on_stderr_has_exactly_one_of_four_keys(line: dict[str, Any], sound: bool) -> None:
    assert (problems_of_stderr(line) == []) is sound

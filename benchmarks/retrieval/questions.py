"""The set as it lies in passages.jsonl, questions.jsonl and tuning.jsonl. Knows nothing of what searches it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

FOLDER = Path(__file__).parent

PassageKind = Literal[
    "encyclopedia", "howto", "manual", "api", "error", "changelog", "policy", "recipe", "letter", "table"
]
QuestionKind = Literal["words", "meaning", "both"]
PASSAGE_KINDS: tuple[PassageKind, ...] = get_args(PassageKind)
QUESTION_KINDS: tuple[QuestionKind, ...] = get_args(QuestionKind)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A text to be found. Passages of one `topic` are near to each other and so hard to tell apart."""

    id: str
    kind: PassageKind
    topic: str
    language: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked. `answers`: passage id → 2 where the passage answers it, 1 where it helps."""

    id: str
    kind: QuestionKind
    language: str
    text: str
    answers: Mapping[str, int]


def passages(folder: Path = FOLDER) -> tuple[Passage, ...]:
    """All passages in the file's order."""
    return tuple(Passage(**row) for row in _rows(folder / "passages.jsonl"))


def questions(folder: Path = FOLDER) -> tuple[Question, ...]:
    """The questions that measure, in the file's order."""
    return tuple(Question(**row) for row in _rows(folder / "questions.jsonl"))


def tuning_questions(folder: Path = FOLDER) -> tuple[Question, ...]:
    """Other questions to choose weights and limits by, so that what is measured was not fitted to its measure."""
    return tuple(Question(**row) for row in _rows(folder / "tuning.jsonl"))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)

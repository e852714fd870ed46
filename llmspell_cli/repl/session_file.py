"""A saved session: its inputs and variables as JSON. Knows files, no kernel."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_cli.conversation import read_json
from llmspell_protocol.errors import InvalidRequest


class SavedSession(NamedTuple):
    """What a file holds. `skipped` are names of variables without a form as data (functions, say)."""

    inputs: list[str]
    variables: dict[str, Any]
    skipped: list[str]
    engine: str = "lua"
    model: str | None = None


def save(path: str, saved: SavedSession) -> None:
    """Writes a session; only its owner may read it.

    Raises:
        InvalidRequest: the file can't be written.
    """
    text = json.dumps(saved._asdict(), indent=2, ensure_ascii=False) + "\n"
    try:
        fd = os.open(Path(path).expanduser(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InvalidRequest(f"can't write {path}: {error.strerror}") from None


def load(path: str) -> SavedSession:
    """Reads a session that `save` wrote.

    Raises:
        NotFound, InvalidRequest: no such file, or no session in it.
    """
    state = read_json(os.path.expanduser(path))
    inputs, variables = state.get("inputs"), state.get("variables")
    if not isinstance(inputs, list) or not all(isinstance(one, str) for one in inputs):
        raise InvalidRequest(f"{path} is no saved session")
    if not isinstance(variables, dict):
        raise InvalidRequest(f"{path} is no saved session")
    model = state.get("model")
    return SavedSession(
        inputs, variables, list(state.get("skipped") or ()), model=model if isinstance(model, str) else None
    )

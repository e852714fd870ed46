"""A saved session: its inputs and variables as JSON. Knows files, no kernel."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeGuard

from llmspell_cli.json_file import read_json, write_json
from llmspell_protocol.engines import DEFAULT_ENGINE
from llmspell_protocol.errors import InvalidRequest


class SavedSession(NamedTuple):
    """What a file holds. `skipped` are names of variables without a form as data (functions, say)."""

    inputs: list[str]
    variables: dict[str, Any]
    skipped: list[str]
    engine: str = DEFAULT_ENGINE
    model: str | None = None


def save(path: str, saved: SavedSession) -> None:
    """Writes a session; only its owner may read it.

    Raises:
        InvalidRequest: the file can't be written.
    """
    write_json(path, saved._asdict())


def load(path: str) -> SavedSession:
    """Reads a session that `save` wrote.

    Raises:
        NotFound, InvalidRequest: no such file, or no session in it.
    """
    state = read_json(path)
    inputs, skipped, variables = state.get("inputs"), state.get("skipped", []), state.get("variables")
    if not _are_texts(inputs) or not _are_texts(skipped) or not isinstance(variables, dict):
        raise InvalidRequest(f"{path} is not a saved session", details={"file": path})
    model = state.get("model")
    return SavedSession(inputs, variables, skipped, model=model if isinstance(model, str) else None)


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)

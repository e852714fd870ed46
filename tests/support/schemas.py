"""The protocol's JSON Schemas, to hold real messages against."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "protocol" / "schemas"


@functools.cache
def _validator(name: str, action: str | None) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    if action is not None:
        schema["anyOf"] = [choice for choice in schema["anyOf"] if choice.get("title") == action]
    return Draft202012Validator(schema)


def fits(name: str, content: Mapping[str, Any], *, action: str | None = None) -> list[str]:
    """What is wrong with a message's content: nothing, if it fits. `action` demands the form of that action."""
    return [f"{error.json_path}: {error.message}" for error in _validator(name, action).iter_errors(dict(content))]

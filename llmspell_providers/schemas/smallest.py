"""How long a reply has to be at least to fit a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_providers.schemas.document import everywhere, target
from llmspell_providers.schemas.refusals import refuse, step

MOST = 1_000_000
"""Characters; no model writes as many."""
_HINT = "ask for less at once"


def demand_short(root: Mapping[str, Any], at: str) -> None:
    """Refuses a schema that only replies fit which are too long to come; `root` is well-formed and possible.

    Raises:
        SchemaUnsupported: with the keyword and its place.
    """
    for place, one in everywhere(root, at):
        for keyword in ("minLength", "minItems", "minProperties"):
            if one.get(keyword, 0) >= MOST:
                refuse(keyword, step(place, keyword), f"is {one[keyword]}: no model writes as much", hint=_HINT)
    if _Looking(root, at).least(root) > MOST:
        refuse("schema", at, f"only fits replies of more than {MOST:,} characters", hint=_HINT)


class _Looking:
    """One look at a schema; what a reference points at is counted once."""

    def __init__(self, root: Mapping[str, Any], at: str) -> None:
        self._root = root
        self._at = at
        self._known: dict[int, int] = {}

    def least(self, schema: Any) -> int:
        """Characters of the shortest value that fits, roughly and rather too few."""
        if not isinstance(schema, Mapping):
            return 1
        known = self._known.get(id(schema))
        if known is None:
            self._known[id(schema)] = 1  # for what comes back here
            known = self._known[id(schema)] = min(self._counted(schema), 2 * MOST)
        return known

    def _counted(self, schema: Mapping[str, Any]) -> int:
        if "$ref" in schema:
            return self.least(target(schema["$ref"], self._root, self._at))
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return min(self.least(child) for child in schema[union])
        if "const" in schema or "enum" in schema:
            return 1
        kinds = schema.get("type", [])
        kind = kinds if isinstance(kinds, str) else None
        if kind == "string":
            return int(schema.get("minLength", 0)) + 2
        if kind == "array" or (not kinds and "items" in schema):
            items = schema.get("items")
            return int(schema.get("minItems", 0)) * (self.least(items) if isinstance(items, Mapping) else 1) + 2
        if kind == "object" or (not kinds and "properties" in schema):
            properties = schema.get("properties", {})
            return sum(self.least(properties.get(name)) for name in schema.get("required", ())) + 2
        return 1

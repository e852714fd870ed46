"""How a schema is refused: which keyword, at which place (a JSON Pointer), and why. Knows no rule."""

from __future__ import annotations

from typing import NoReturn

from llmspell_protocol.errors import InvalidRequest, SchemaUnsupported

LEAVE_OUT = "leave it out of the schema and check the reply yourself"


def step(at: str, *parts: str | int) -> str:
    """The place of something inside the value at `at`."""
    return at + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def malformed(keyword: str, at: str, why: str, *, hint: str = "correct the schema") -> NoReturn:
    """Raises `InvalidRequest`: this is no JSON Schema, or no description of a tool."""
    raise InvalidRequest(
        f"JSON Schema: '{keyword}' at '{at or '/'}' is wrong: {why}", hint=hint, details={"keyword": keyword, "at": at}
    )


def refuse(keyword: str, at: str, why: str, *, hint: str = LEAVE_OUT) -> NoReturn:
    """Raises `SchemaUnsupported`: a schema that no reply can fit, or that a model can't be held to here."""
    raise SchemaUnsupported(
        f"JSON Schema: '{keyword}' at '{at or '/'}' {why}", hint=hint, details={"keyword": keyword, "at": at}
    )

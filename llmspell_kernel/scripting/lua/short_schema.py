"""The short form of a schema in scripts, `schema = "name, age int"`. Imported by the first that has one."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.scripting.lua.refusals import refusal
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.schema_fields import schema_of_fields


def read(text: bytes, where: bytes) -> dict[str, Any]:
    """The JSON Schema of these fields; raises a refusal that begins with `where`."""
    try:
        return schema_of_fields(text.decode("utf-8", "replace"), where.decode())
    except InvalidRequest as error:
        raise refusal(error.code, error.message, error.hint) from None

"""Functions of values that the Lua files call: JSON, texts, hashes, time, schemas. They touch nothing outside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from llmspell_kernel.scripting.lua.convert import Border
from llmspell_kernel.scripting.lua.json_text import parse, stringify
from llmspell_kernel.scripting.lua.refusals import refusal


class ValueFunctions:
    """Each takes and gives what lupa hands over: bytes for strings, a tuple of results."""

    NAMES = (
        "json_parse",
        "json_stringify",
        "nearest",
        "schema_of_fields",
        "parameters_of_schema",
        "unpack_vectors",
        "hash",
        "uuid",
        "now_ms",
        "precise_ms",
        "timestamp",
        "clock_text",
        "to_base64",
        "from_base64",
        "unix_seconds",
        "matches",
    )

    def __init__(self, border: Border) -> None:
        self._border = border

    def json_parse(self, text: bytes) -> tuple[Any, ...]:
        return (parse(text, self._border),)

    def json_stringify(self, value: Any, indent: float | None = None) -> tuple[Any, ...]:
        return (stringify(value, indent, self._border),)

    def nearest(self, name: bytes, names: Any) -> tuple[Any, ...]:
        # Only for an error that is shown anyway.
        from llmspell_protocol.model_options import meant_by

        found = meant_by(name.decode("utf-8", "replace"), [one.decode() for one in names.values()])
        return (None if found is None else found.encode(),)

    def schema_of_fields(self, text: bytes, where: bytes) -> tuple[Any, ...]:
        from llmspell_kernel.scripting.lua.short_schema import read

        return (self._border.to_lua(read(text, where)),)

    def parameters_of_schema(self, schema: Any) -> tuple[Any, ...]:
        # Only for who asks what a tool takes.
        from llmspell_protocol.tools.parameters import parameters_of

        # A table of Lua's has no order.
        found = sorted(parameters_of(self._border.to_python(schema)), key=lambda one: (not one.required, one.name))
        return (self._border.to_lua([one.as_content() for one in found]),)

    def unpack_vectors(self, data: bytes, dimensions: int) -> tuple[Any, ...]:
        numbers = memoryview(data).cast("f").tolist()
        return (self._border.to_lua([numbers[at : at + dimensions] for at in range(0, len(numbers), dimensions)]),)

    def hash(self, text: bytes, algorithm: bytes) -> tuple[Any, ...]:
        import hashlib

        name = algorithm.decode("utf-8", "replace").lower().replace("-", "")
        if name not in ("sha256", "sha1", "sha512", "sha384", "md5"):
            raise refusal("invalid_request", f"Utils.hash knows sha256, sha384, sha512, sha1 and md5, not '{name}'")
        return (hashlib.new(name, text, usedforsecurity=False).hexdigest().encode(),)

    def uuid(self) -> tuple[Any, ...]:
        import uuid

        return (str(uuid.uuid4()).encode(),)

    def now_ms(self) -> tuple[Any, ...]:
        return (time.time_ns() // 1_000_000,)

    def precise_ms(self) -> tuple[Any, ...]:
        return (time.perf_counter() * 1000,)

    def timestamp(self) -> tuple[Any, ...]:
        seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        return (f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z".encode(),)

    def clock_text(self) -> tuple[Any, ...]:
        return (time.strftime("%Y-%m-%d %H:%M:%S").encode(),)

    def to_base64(self, data: bytes) -> tuple[Any, ...]:
        import binascii

        return (binascii.b2a_base64(data, newline=False),)

    def from_base64(self, text: bytes) -> tuple[Any, ...]:
        import binascii

        return (binascii.a2b_base64(text),)

    def unix_seconds(self, text: bytes) -> tuple[Any, ...]:
        from datetime import datetime

        try:
            return (int(datetime.fromisoformat(text.decode()).timestamp()),)
        except (ValueError, OverflowError):
            # What a server calls a date is its own affair.
            return (None,)

    def matches(self, pattern: bytes, text: bytes) -> tuple[Any, ...]:
        """Whether a regular expression fits a text from its beginning to its end; nil where it is none."""
        # Few scripts filter their messages that way.
        import re

        try:
            return (re.fullmatch(pattern.decode("utf-8", "replace"), text.decode("utf-8", "replace")) is not None,)
        except re.error:
            return (None,)


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that may have been meant; None where none is near."""
    # Only for an error that is shown anyway; the import costs milliseconds.
    from difflib import get_close_matches

    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None

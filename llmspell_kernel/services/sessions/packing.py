"""Values and contents as the database keeps them: JSON, and compressed where they are long. Knows no tables."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from llmspell_storage.compression import compressed, decompressed

LEVEL = 3
STEPS_FROM_BYTES = 2048
"""From this length on the JSON of a step is compressed: a conversation repeats itself, and a tenth of it is left."""
_MAGIC = b"\x28\xb5\x2f\xfd"
"""What a zstd frame begins with; JSON never does."""


def packed(value: Any) -> bytes:
    """A value of requests and replies as JSON; bytes in it are base64, half a character is an escape."""
    text = json.dumps(value, default=_plain).encode()
    return compressed(text, LEVEL) if len(text) >= STEPS_FROM_BYTES else text


def unpacked(data: bytes) -> Mapping[str, Any]:
    """The map that was packed.

    Raises:
        ValueError: it is damaged, or was none.
    """
    found = json.loads(decompressed(data) if data.startswith(_MAGIC) else data)
    if not isinstance(found, Mapping):
        raise ValueError("no map")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, tuple):
        return list(value)
    return str(value)

"""Vectors as bytes: float32, little-endian, row by row."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Sequence


def packed(rows: Sequence[Sequence[float]], *, normalize: bool = False) -> bytes:
    """The rows as bytes; `normalize` gives each one the length 1.

    Raises:
        ValueError: rows of different lengths, or empty ones.
    """
    values = array.array("f")
    for row in rows:
        if len(row) != len(rows[0]) or not row:
            raise ValueError("vectors of different lengths")
        length = math.hypot(*row) if normalize else 1.0
        values.extend([value / length for value in row] if normalize and length else row)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()

"""Which seeds there are: one place for requests, agents and settings."""

from __future__ import annotations

LARGEST_SEED = (1 << 32) - 2
"""Of 32 bits, but for the last: 4294967295 is llama.cpp's word for any seed, and no two replies to it are the same."""

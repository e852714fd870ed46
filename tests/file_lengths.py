"""No source file passes 400 lines: past that it has more than one noun. `python -m tests.file_lengths` lists them.

Tests may be longer: their cases are independent of each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

MOST = 400
ROOT = Path(__file__).parents[1]
SOURCES = (
    *("llmspell_cli", "llmspell_kernel", "llmspell_providers", "llmspell_rag"),
    *("llmspell_tools", "profiles", "protocol"),
    *("generate", "benchmarks"),
)


def too_long(root: Path = ROOT) -> Iterator[str]:
    """What is wrong, a line each."""
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST:
                yield f"{name}: {lines} lines, more than {MOST}: divide it by its nouns"


def main() -> int:
    """Prints what is wrong; the exit status."""
    found = list(too_long())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

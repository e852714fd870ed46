"""Writes `docs/reference/configuration.md` and the JSON Schema beside it, from the settings' schema.

python profiles/generate_reference.py           writes what has changed
python profiles/generate_reference.py --check   changes nothing; exit status 1 and the names where something would
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from llmspell_profiles.json_schema import json_schema
from llmspell_profiles.markdown import reference

DIRECTORY = Path(__file__).parent.parent / "docs" / "reference"


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {
        "configuration.md": reference(),
        "configuration.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def drift(directory: Path = DIRECTORY) -> Iterator[str]:
    """What in the directory differs from the schema: one line a file."""
    for name, text in rendered().items():
        path = directory / name
        if not path.exists():
            yield f"{name} is missing"
        elif path.read_text(encoding="utf-8") != text:
            yield f"{name} is out of date"


def write(directory: Path = DIRECTORY) -> None:
    """Makes the files what they have to be."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in rendered().items():
        (directory / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    if list(arguments) == ["--check"]:
        found = list(drift())
        for line in found:
            sys.stderr.write(f"docs/reference: {line}\n")
        if found:
            sys.stderr.write("write them again: make schemas\n")
        return 1 if found else 0
    if arguments:
        sys.stderr.write("usage: generate_reference.py [--check]\n")
        return 2
    write()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

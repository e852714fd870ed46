"""Files that are written from the code: what has drifted from it, writing them again, and the command line for both.

Knows no contents. A script that has some calls `main`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class GeneratedFiles:
    """The files of one script.

    `render` gives file name → text, as it has to stand in the directory; `stray` is what is wrong with other files of
    the directory that end like them, empty: they may be there.
    """

    directory: Path
    render: Callable[[], Mapping[str, str]]
    stray: str = ""

    def drift(self, directory: Path | None = None) -> Iterator[str]:
        """What in the directory differs from the code: one line a file."""
        directory = directory or self.directory
        for name, text in self.render().items():
            path = directory / name
            if not path.exists():
                yield f"{name} is missing"
            elif path.read_text(encoding="utf-8") != text:
                yield f"{name} is out of date"
        yield from (f"{path.name} {self.stray}" for path in self._others(directory))

    def write(self, directory: Path | None = None) -> None:
        """Makes the files what they have to be."""
        directory = directory or self.directory
        directory.mkdir(parents=True, exist_ok=True)
        for path in self._others(directory):
            path.unlink()
        for name, text in self.render().items():
            (directory / name).write_text(text, encoding="utf-8")

    def main(self, arguments: Sequence[str]) -> int:
        """The command line: `--check` changes nothing; returns the exit status."""
        if list(arguments) == ["--check"]:
            found = list(self.drift())
            for line in found:
                sys.stderr.write(f"{self.directory.relative_to(ROOT)}: {line}\n")
            if found:
                sys.stderr.write("write them again: make schemas\n")
            return 1 if found else 0
        if arguments:
            sys.stderr.write("usage: [--check]\n")
            return 2
        self.write()
        return 0

    def _others(self, directory: Path) -> list[Path]:
        if not self.stray:
            return []
        wanted = self.render()
        suffixes = {Path(name).suffix for name in wanted}
        return sorted(path for path in directory.iterdir() if path.suffix in suffixes and path.name not in wanted)

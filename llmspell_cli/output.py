"""Where output goes: the result on stdout and nothing else there; warnings, notes and events on stderr.

Knows three formats (text, json, pretty), not what is said in them. In JSON mode stdout holds one document or NDJSON,
and every line on stderr is one JSON object with exactly one of the keys `error`, `warning`, `event`, `log`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

from llmspell_cli.options import Options

RED = "31"
YELLOW = "33"
CYAN = "36"
BOLD = "1"
DIM = "2"


def styled(text: str, code: str, stream: IO[str], color: bool) -> str:
    """The text in a colour (an SGR code), plain where colour is off or the stream is no terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if color and stream.isatty() else text


def document_text(document: Mapping[str, Any]) -> str:
    """One JSON document, indented by two spaces."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def compact(document: Mapping[str, Any]) -> str:
    """One JSON object on one line."""
    return json.dumps(document, ensure_ascii=False)


class Output:
    """One command's output in the format that was asked for."""

    def __init__(self, options: Options) -> None:
        self.json = options.json
        self.pretty = options.output == "pretty"
        self.color = options.color

    @property
    def terminal(self) -> bool:
        """Whether people watch: stdout is a terminal."""
        return sys.stdout.isatty()

    def write(self, text: str) -> None:
        """A piece of text on stdout, at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """One line of the result."""
        sys.stdout.write(text + "\n")

    def document(self, document: Mapping[str, Any]) -> None:
        """The result as the one JSON document."""
        sys.stdout.write(document_text(document) + "\n")

    def event(self, event: Mapping[str, Any]) -> None:
        """One object of an NDJSON stream on stdout, at once."""
        self.write(compact(event) + "\n")

    def warning(self, text: str) -> None:
        """Something that the user should know and that stops nothing."""
        if self.json:
            self._stderr(compact({"warning": text}))
        else:
            self._stderr(f"{styled('Warning:', YELLOW, sys.stderr, self.color)} {text}")

    def note(self, text: str, **fields: Any) -> None:
        """A remark beside the result; in JSON mode an event with these fields."""
        self._stderr(compact({"event": "note", "message": text, **fields}) if self.json else text)

    def hint(self, text: str) -> None:
        """What to do next, beside a result that is no failure."""
        if not self.json:
            self._stderr(f"{styled('Hint:', CYAN, sys.stderr, self.color)} {text}")

    def log(self, line: str) -> None:
        """A line of an embedded kernel's log."""
        self._stderr(compact({"log": line}) if self.json else line)

    def side_event(self, event: Mapping[str, Any]) -> None:
        """One object on stderr (JSON mode)."""
        self._stderr(compact(event))

    def emphasis(self, text: str, code: str = BOLD) -> str:
        """The text for stdout, decorated in the pretty format only."""
        return styled(text, code, sys.stdout, self.color) if self.pretty else text

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, heading: bool = True) -> None:
        """Rows below headers: aligned columns, in the pretty format a table with lines."""
        if self.pretty:
            self._pretty_table(headers, rows)
            return
        from llmspell_cli.text import columns

        for line in columns([headers, *rows] if heading else rows):
            self.line(line)

    def _pretty_table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        # rich takes 40 ms to import; only the pretty format needs it.
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, header_style="bold" if self.color else "", pad_edge=False, collapse_padding=True
        )
        for header in headers:
            # On a narrow terminal cells get more lines; nothing is cut off.
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        sys.stdout.flush()
        Console(no_color=not self.color, highlight=False).print(table)

    @staticmethod
    def _stderr(line: str) -> None:
        sys.stdout.flush()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

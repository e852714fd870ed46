"""Where output goes: the result on stdout and nothing else there; warnings, notes and events on stderr.

Knows three formats (text, json, pretty), not what is said in them. In JSON mode stdout holds one document or NDJSON,
and every line on stderr is one JSON object with exactly one of the keys `error`, `warning`, `event`, `log`.

Text is the same in a pipe and at a terminal with room for it. At a narrower one, tables and prose get more lines; what
is there to be copied (paths, addresses, commands) stays in one piece, and a pipe never sees a difference.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, TextIO

from llmspell_cli.invocation import Options
from llmspell_cli.terminal.visible import visible, visible_lines
from llmspell_cli.terminal.widths import width_of
from llmspell_protocol.plain_text import whole_text

RED = "31"
YELLOW = "33"
GREEN = "32"
CYAN = "36"
BOLD = "1"
DIM = "2"


_UNLIMITED = 10_000
"""Columns of what has no width."""
_MARKS = {"✓": GREEN, "⚠": YELLOW, "✗": RED}
"""How a line says that something went well, with a limit, or not; coloured in the pretty format."""
_SGR = re.compile(r"\x1b\[[\d;]*m")
_SURROGATES = re.compile("[\ud800-\udfff]")
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_BEYOND_ASCII = re.compile("[^\x00-\x7e]")


def styled(text: str, code: str, stream: IO[str], color: bool) -> str:
    """The text in a colour (an SGR code), plain where colour is off or the stream is not a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if color and stream.isatty() else text


def room(stream: IO[str]) -> int | None:
    """The columns of the terminal behind a stream; None where it is not a terminal, or its width is unknown."""
    if not stream.isatty():
        return None
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def fitted(text: str, stream: IO[str]) -> str:
    """Prose for a stream: at a terminal broken between words where a line is too long for it."""
    width = room(stream)
    # A colour takes no room: what has been fitted and coloured stays as it is.
    if width is None or all(width_of(_SGR.sub("", line)) <= width for line in text.split("\n")):
        return text
    from llmspell_cli.terminal.text import wrapped

    return "\n".join("\n".join(wrapped(line, width)) for line in text.split("\n"))


def headed(head: str, text: str, code: str, color: bool) -> str:
    """A remark for stderr behind a word that says what it is, in colour."""
    fit = fitted(f"{head} {text}", sys.stderr)
    return styled(head, code, sys.stderr, color) + fit[len(head) :]


def to_stderr(text: str) -> None:
    """A remark on stderr, at once and behind what stdout holds.

    A reader that is gone, or a full disk, misses remarks; the command and its exit status go on. Where stdout can't be
    written, the command's end says so, since what could not be written stays in its buffer.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stderr.write(text)
    sys.stderr.flush()


def document_text(document: object, stream: TextIO) -> str:
    """One JSON document for a stream, indented by two spaces."""
    return _json_for(stream, json.dumps(document, indent=2, ensure_ascii=False))


def compact(document: object, stream: TextIO) -> str:
    """One JSON value on one line."""
    return _json_for(stream, json.dumps(document, ensure_ascii=False))


def _json_for(stream: TextIO, text: str) -> str:
    """JSON as every reader of the stream gets it: escapes for what its encoding lacks, or a terminal would obey."""
    if text.isascii() and "\x7f" not in text:
        return text
    if _SURROGATES.search(text):
        text = whole_text(text)
    is_utf_8 = (stream.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")
    return (_OBEYED if is_utf_8 else _BEYOND_ASCII).sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


class Output:
    """One command's output in the format that was asked for."""

    def __init__(self, options: Options) -> None:
        self.json = options.json
        self.pretty = options.output == "pretty"
        self.color = options.color
        self.origin: Mapping[str, Any] = {}
        """Where a command's results come from; documents end with it."""

    @property
    def terminal(self) -> bool:
        """Whether people watch: stdout is a terminal."""
        return sys.stdout.isatty()

    def write(self, text: str) -> None:
        """A piece of text on stdout, at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """One line of the result; a mark at its beginning is coloured in the pretty format."""
        self.shown_line(fitted(visible(text), sys.stdout))

    def lines(self, text: str) -> None:
        """Lines of the result that are one text."""
        self.shown_line(visible_lines(text))

    def as_it_is(self, text: str) -> None:
        """A piece of text of others that is itself the result, at once: at a terminal without what would steer it."""
        self.write(visible_lines(text) if self.terminal else text)

    def shown_line(self, text: str) -> None:
        """Lines that are made already: with our colours in them, or as they stand in a file."""
        if self.pretty and text[:1] in _MARKS:
            text = styled(text[0], _MARKS[text[0]], sys.stdout, self.color) + text[1:]
        sys.stdout.write(text + "\n")

    def prose(self, text: str) -> None:
        """A sentence beside the result's data."""
        self.lines(fitted(visible_lines(text), sys.stdout))

    def document(self, document: Mapping[str, Any]) -> None:
        """The result as the one JSON document."""
        sys.stdout.write(document_text(self._with_origin(document), sys.stdout) + "\n")

    def last_event(self, event: Mapping[str, Any]) -> None:
        """The object that ends an NDJSON stream: the result."""
        self.event(self._with_origin(event))

    def _with_origin(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**document, **{key: value for key, value in self.origin.items() if key not in document}}

    def event(self, event: Mapping[str, Any]) -> None:
        """One object of an NDJSON stream on stdout, at once."""
        self.write(compact(event, sys.stdout) + "\n")

    def warning(self, text: str) -> None:
        """Something that the user should know and that stops nothing."""
        if self.json:
            self._object({"warning": text})
        else:
            self.shown_note(headed("Warning:", visible_lines(text), YELLOW, self.color))

    def note(self, text: str, **fields: Any) -> None:
        """A remark beside the result; in JSON mode an event with these fields."""
        if self.json:
            self._object({"event": "note", "message": text, **fields})
        else:
            self.shown_note(fitted(visible_lines(text), sys.stderr))

    def shown_note(self, text: str) -> None:
        """A remark that is made already, with our colours in it."""
        to_stderr(text + "\n")

    def hint(self, text: str) -> None:
        """What to do next, beside a successful result."""
        if not self.json:
            self.shown_note(headed("Hint:", visible(text), CYAN, self.color))

    def log(self, line: str) -> None:
        """A line of an embedded kernel's log."""
        if self.json:
            self._object({"log": line})
        else:
            self.shown_note(visible_lines(line))

    def side_event(self, event: Mapping[str, Any]) -> None:
        """One object on stderr (JSON mode)."""
        self._object(event)

    def exported(self, event: Mapping[str, Any], text: str) -> None:
        """An event that the configuration has printed: on stdout, in JSON mode beside the result."""
        if self.json:
            self._object({"event": "published", "published": event})
        else:
            self.write(f"{text}\n")

    def emphasis(self, text: str, code: str = BOLD) -> str:
        """The text for stdout, decorated in the pretty format only."""
        return styled(text, code, sys.stdout, self.color) if self.pretty else text

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, heading: bool = True, gap: int = 2
    ) -> None:
        """Rows below headers: aligned columns, in the pretty format with a line below the headers.

        `heading` False: the text format shows the rows alone; `gap`: the blanks between its columns.
        """
        from llmspell_cli.terminal.text import bands, columns

        rows = [[visible(cell) for cell in row] for row in rows]
        width = room(sys.stdout)
        if self.pretty and (width is None or _drawn_width(headers, rows) <= width):
            self._drawn_table(headers, rows, width)
            return
        shown = [headers, *rows] if heading or self.pretty else rows
        lines = columns(shown, gap=gap)
        if width is not None and max(map(len, lines), default=0) > width:
            lines = bands(shown, width, gap=gap)
        for line in lines:
            self.shown_line(line)

    def properties(self, pairs: Sequence[tuple[str, str]]) -> None:
        """`Name:   value` lines with aligned values."""
        from llmspell_cli.terminal.text import properties

        shown = [(name, visible(value)) for name, value in pairs]
        for line in properties(shown, width=room(sys.stdout)):
            self.shown_line(line)

    def definitions(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Words in one column, what they mean beside them."""
        from llmspell_cli.terminal.text import definitions

        shown = [(visible(word), visible(meaning)) for word, meaning in pairs]
        for line in definitions(shown, width=room(sys.stdout)):
            self.shown_line(line)

    def _drawn_table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> None:
        # rich takes 40 ms to import; only the pretty format needs it.
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, header_style="bold" if self.color else "", pad_edge=False, collapse_padding=True
        )
        for at, header in enumerate(headers):
            # Only prose is broken into lines; nothing is cut off.
            table.add_column(header, overflow="fold", min_width=_longest_word([header, *_cells(rows, at)]))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        sys.stdout.flush()
        # Anything but a terminal has room for everything, and gets no colour whatever the environment tells rich.
        console = Console(
            no_color=not self.color,
            highlight=False,
            force_terminal=sys.stdout.isatty(),
            width=width or _UNLIMITED,
        )
        console.print(table)

    @staticmethod
    def _object(remark: Mapping[str, Any]) -> None:
        to_stderr(compact(remark, sys.stderr) + "\n")


def _drawn_width(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """What a drawn table needs at least: each column's longest word, and the blanks around it."""
    words = [_longest_word([header, *_cells(rows, at)]) for at, header in enumerate(headers)]
    return sum(words) + 2 * len(words) + 2


def _cells(rows: Sequence[Sequence[str]], at: int) -> list[str]:
    return [row[at] for row in rows if at < len(row)]


def _longest_word(cells: Sequence[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)

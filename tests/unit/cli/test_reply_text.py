"""Replies at a terminal: broken between words as they come, code untouched, Markdown as it is meant, nothing lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from wcwidth import wcswidth

from llmspell_cli.invocation import Options
from llmspell_cli.terminal.flow import Flow
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.reply_text import Markdown, Plain, reply_text

REPLY = """\
# Title of it

The **quick brown** fox *jumps* over `the code` here, and 2 * 3 * 4 = snake_case_name stays. ***Both*** \\*not\\*.
**without an end, and `neither has this

- first item that is rather long and has to go on below itself
  1. 你好世界你好世界，你好世界。你好世界 👨‍👩‍👧 café 🇫🇷 a
> a quotation which is quite long and **goes** on and on

```python
x = 1   # a line of code that is far longer than forty columns of a terminal
**no bold**
```
| a table | stays as it is, however long its lines are in the end |
See https://example.com/a/very/long/address/that/is/longer/than/forty/columns
~~~
```
~~~
* * *
1986. was a year
-5 degrees, #no heading, +1
"""


class Shown:
    """What stands on a terminal of a width that may change."""

    def __init__(self, kind: type[Plain], capsys: pytest.CaptureFixture[str], columns: int, *, color: bool) -> None:
        self._capsys = capsys
        self.columns = columns
        self.reply = kind(Flow(lambda: self.columns, color=color))

    def text(self) -> str:
        """All of it so far."""
        return self._capsys.readouterr().out


def shown(
    kind: type[Plain],
    capsys: pytest.CaptureFixture[str],
    text: str,
    columns: int,
    *,
    piece: int = 7,
    color: bool = False,
) -> str:
    """A whole reply that came in pieces."""
    screen = Shown(kind, capsys, columns, color=color)
    for at in range(0, len(text), piece):
        screen.reply.feed(text[at : at + piece])
    screen.reply.finish()
    return screen.text()


def words(text: str) -> list[str]:
    """Its words, blanks and the breaks between signs of scripts without blanks apart."""
    return re.sub(r"\s+", "", text).split()


@pytest.mark.parametrize("kind", [Plain, Markdown])
@pytest.mark.parametrize("columns", [20, 40, 80])
def test_how_a_reply_was_cut_into_pieces_makes_no_difference(
    kind: type[Plain], columns: int, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = shown(kind, capsys, REPLY, columns, piece=len(REPLY))
    for piece in (1, 2, 3, 5, 11, 40):
        assert shown(kind, capsys, REPLY, columns, piece=piece) == whole


@pytest.mark.parametrize("columns", [20, 40, 60, 200])
def test_a_reply_loses_nothing_and_its_lines_fit(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(Plain, capsys, REPLY, columns)
    # What a quotation's further lines begin with is said again.
    assert words(text.replace("> ", "")) == words(REPLY.replace("> ", ""))
    untouched = ("x = 1", "| a table", "https://")
    for line in text.splitlines():
        assert wcswidth(line) <= columns or line.startswith(untouched), line
    for line in REPLY.splitlines():
        if line.startswith(untouched[:2]):
            assert line in text.splitlines()


def test_a_wide_terminal_shows_a_reply_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(Plain, capsys, REPLY, 1000) == REPLY


def test_words_move_to_the_next_line_whole_and_long_ones_have_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = "one two three-and-four five https://example.com/long/address six\n"
    assert shown(Plain, capsys, text, 20).splitlines() == [
        "one two",
        "three-and-four five",
        # The terminal breaks what is longer than a line; words go on behind it.
        "https://example.com/long/address six",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("你好世界你好。世界", ["你好世界", "你好。世", "界"]),
        ("你好世界。你好", ["你好世", "界。你好"]),
        ("ab👍🏽👍🏽👍🏽👍🏽", ["ab👍🏽👍🏽👍🏽", "👍🏽"]),
        ("e\u0301" * 8 + " x", ["e\u0301" * 8, "x"]),
        ("안녕 세상 여러분", ["안녕", "세상", "여러분"]),
    ],
)
def test_signs_have_the_columns_that_a_terminal_gives_them(
    text: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(Plain, capsys, text, 8, piece=1).splitlines() == lines


def test_a_window_that_becomes_narrower_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Shown(Plain, capsys, 40, color=False)
    screen.reply.feed("one two three four five six ")
    screen.columns = 10
    screen.reply.feed("seven eight nine ten eleven")
    screen.reply.finish()
    # The terminal itself has broken what stood there before.
    assert screen.text() == "one two three four five six\nseven\neight nine\nten eleven"


def test_a_word_is_shown_when_its_end_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Shown(Plain, capsys, 40, color=False)
    screen.reply.feed("Luxem")
    assert screen.text() == ""
    screen.reply.feed("bourg is")
    assert screen.text() == "Luxembourg"
    screen.reply.finish()
    assert screen.text() == " is"


def test_markdown_shows_what_signs_mean(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(Markdown, capsys, REPLY, 200, color=True)
    assert "\x1b[1;4mTitle of it\x1b[0m\n" in text
    for styled in (
        "\x1b[1mquick brown\x1b[0m",
        "\x1b[3mjumps\x1b[0m",
        "\x1b[36mthe code\x1b[0m",
        "\x1b[1;3mBoth\x1b[0m",
        "\x1b[2m```python\x1b[0m",
    ):
        assert re.sub(r"\x1b\[0m(\x1b\[[\d;]+m)", "", styled) in merged(text)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    for kept in (
        "2 * 3 * 4 = snake_case_name stays",
        "*not*.",
        "**without an end, and `neither has this",
        "• first item",
        "  1. 你好",
        "│ a quotation",
        "**no bold**",
        "1986. was a year",
        "-5 degrees, #no heading, +1",
    ):
        assert kept in plain


def merged(text: str) -> str:
    """The text without the ends of styles that begin again at once."""
    return re.sub(r"\x1b\[0m( ?)\x1b\[([\d;]+)m", lambda found: found[1], text)


def test_no_style_outlives_a_piece(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Shown(Markdown, capsys, 40, color=True)
    for piece in ("# A long ", "heading that ", "is broken in two lines ", "and **goes on** ", "`x` y"):
        screen.reply.feed(piece)
        text = screen.text()
        assert text.rfind("\x1b[0m") == max(
            (found.start() for found in re.finditer(r"\x1b\[[\d;]*m", text)), default=-1
        )


def test_a_pipe_gets_every_byte_and_nothing_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    reply = reply_text(Output(Options()), markdown=True)
    for at in range(0, len(REPLY), 3):
        reply.feed(REPLY[at : at + 3])
    reply.feed("\x1b[31m\r\n")
    reply.finish()
    assert capsys.readouterr().out == REPLY + "\x1b[31m\r\n"


def test_what_would_steer_a_terminal_is_shown_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(Plain, capsys, "a\x1b[2Jb \r\nc\rd", 40, piece=1) == "a\\x1b[2Jb\nc\\x0dd"

"""What a model says, for people at a terminal: broken between words as it comes, code and tables left as they are.

`Markdown` also shows what the signs mean, in place of the signs: headings, lists, quotes, bold, italics, code. Signs
are held back until their end has come, a line at most; those without an end stay as they are, so no text is lost and
nothing on the screen is drawn twice. Knows the text, not whose it is.
"""

from __future__ import annotations

import re
import sys
from typing import Protocol

from llmspell_cli.terminal.flow import Flow
from llmspell_cli.terminal.output import Output, room
from llmspell_cli.terminal.visible import visible_lines

_BOLD, _ITALIC, _STRUCK, _CODE, _DIM, _TITLE = "1", "3", "9", "36", "2", "1;4"
_COLUMNS = 80
"""Of a terminal whose width is not known any more."""
_SPAN = 400
"""Characters that signs without an end are waited for."""
_UNDECIDED = re.compile(
    r"[ \t]*(`{0,2}|`{3,}[^`\n]*|~{0,2}|~{3,}[^\n]*|#{1,6}[ \t]*|\d{1,9}([.)][ \t]*)?|>|[-+*_][-*_ \t]*)\Z"
)
"""A line's beginning that may still become a sign of a block."""
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[^\n]*(\n|\Z)")
_ITEM = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)")
_HEADING = re.compile(r"(#{1,6})[ \t]+(?=\S)")
_QUOTE = re.compile(r"([ \t]*)>[ \t]?")
_RULE = re.compile(r"[ \t]*([-*_])[ \t]*(\1[ \t]*){2,}(\n|\Z)")
_RUN = re.compile(r"`+|\*{1,3}|_{1,3}|~~")
_STYLES = {1: _ITALIC, 2: _BOLD, 3: f"{_BOLD};{_ITALIC}"}
_PUNCTUATION = "\\`*_{}[]()<>#+-.!|~"


class ReplyText(Protocol):
    """Where the pieces of a reply go."""

    def feed(self, text: str) -> None:
        """Takes the next piece of the reply."""

    def finish(self) -> None:
        """The reply has ended: shows what was held back."""

    @property
    def in_line(self) -> bool:
        """Whether a line has been begun."""


def reply_text(output: Output, *, markdown: bool) -> ReplyText:
    """A way to show a reply on stdout: in a pipe byte for byte; what Markdown means takes a terminal's colours."""
    if room(sys.stdout) is None:
        return AsItIs(output)
    flow = Flow(lambda: room(sys.stdout) or _COLUMNS, color=output.color)
    return Markdown(flow) if markdown and output.color else Plain(flow)


def dimmed_text(output: Output) -> ReplyText:
    """A way to show what stands beside a reply, as it was written and dimmed where there are colours."""
    if room(sys.stdout) is None:
        return AsItIs(output)
    return Plain(Flow(lambda: room(sys.stdout) or _COLUMNS, color=output.color), style=_DIM)


class AsItIs:
    """A reply as it came."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.in_line = False

    def feed(self, text: str) -> None:
        """Takes the next piece of the reply."""
        self._output.as_it_is(text)
        self.in_line = not (text or "\n" * (not self.in_line)).endswith("\n")

    def finish(self) -> None:
        """Nothing was held back."""


class Plain:
    """A reply as it was written."""

    def __init__(self, flow: Flow, *, style: str = "") -> None:
        self._flow = flow
        self._style = style
        """What the line that is being read is shown in."""
        self._rest = ""
        """What has come and is not decided yet."""
        self._fence = ""
        """The signs that end the code which the text is in."""
        self._line = "start"
        """Where the text is: at the `start` of a line, in its `text`, or in one that is `left` as it is."""

    def feed(self, text: str) -> None:
        """Takes the next piece of the reply."""
        self._take(text, last=False)
        self._flow.show()

    def finish(self) -> None:
        """The reply has ended: shows what was held back."""
        self._take("", last=True)
        self._flow.finish()

    @property
    def in_line(self) -> bool:
        """Whether a line has been begun."""
        return self._flow.in_line

    def _take(self, text: str, *, last: bool) -> None:
        text = self._rest + text
        # Half a line end is none yet.
        half = "\r" * (text.endswith("\r") and not last)
        self._rest = visible_lines(text.removesuffix(half))
        while self._rest and self._step(last):
            pass
        self._rest += half

    def _step(self, last: bool) -> bool:
        """Takes something off the rest; False where more of it has to come first."""
        if self._line == "text":
            return self._text(last)
        if self._line == "left" or self._fence:
            return self._as_it_is(last)
        return self._begin(last)

    def _begin(self, last: bool) -> bool:
        """Decides what a line is."""
        rest = self._rest
        if not last and _UNDECIDED.match(rest):
            return False
        if fence := _FENCE.match(rest):
            if "`" in fence[2] and "`" in fence[0].strip().lstrip("`"):
                self._line = "text"  # Code within a line that has three signs around it.
                return True
            self._fence = fence[2]
            self._show_fence(fence[0])
        elif rest.lstrip(" \t").startswith("|"):
            self._line = "left"
            return True
        else:
            self._begin_text(rest, last)
            return True
        self._rest = rest[len(fence[0]) :]
        return True

    def _begin_text(self, rest: str, last: bool) -> None:
        """Begins a line of prose: an item of a list goes on below its words, a quotation behind its sign."""
        self._line = "text"
        if item := _ITEM.match(rest):
            self._flow.hang = " " * len(item[0].expandtabs())
            self._open(item[0], item[1] + self._mark(item[2]) + item[3], self._style)
        elif quote := _QUOTE.match(rest):
            self._flow.hang = quote[0]
            self._open(quote[0], quote[0], self._style)
        else:
            self._flow.hang = rest[: len(rest) - len(rest.lstrip(" \t"))]

    def _open(self, taken: str, shown: str, style: str) -> None:
        """Takes the sign at a line's beginning off the rest, and shows it."""
        self._rest = self._rest[len(taken) :]
        self._flow.verbatim(shown, style)

    def _mark(self, sign: str) -> str:
        return sign

    def _text(self, last: bool) -> bool:
        line, newline, rest = self._rest.partition("\n")
        self._flow.put(line, self._style)
        self._end_text(newline, rest)
        return True

    def _end_text(self, newline: str, rest: str) -> None:
        self._rest = rest
        if newline:
            self._flow.end_line()
            self._line = "start"

    def _as_it_is(self, last: bool) -> bool:
        """Code, up to the fence that ends it; or the line of a table."""
        rest = self._rest
        if self._fence and self._line == "start":
            bare = rest.partition("\n")[0].strip(" \t")
            if not bare.strip(self._fence[0]) and "\n" not in rest and not last:
                return False
            if bare and not bare.strip(self._fence[0]) and len(bare) >= len(self._fence):
                self._fence = ""
                line, newline_sign, self._rest = rest.partition("\n")
                self._show_fence(line + newline_sign)
                return True
        line, newline_sign, self._rest = rest.partition("\n")
        (self._show_code if self._fence else self._flow.verbatim)(line + newline_sign)
        self._line = "start" if newline_sign else "left"
        return True

    def _show_fence(self, line: str) -> None:
        self._flow.verbatim(line, self._style)

    def _show_code(self, text: str) -> None:
        self._flow.verbatim(text, self._style)


class Markdown(Plain):
    """A reply as it was meant."""

    def _begin_text(self, rest: str, last: bool) -> None:
        self._style = ""
        if rule := _RULE.match(rest):
            self._line = "left"
            self._rest = rest[len(rule[0]) - len(rule[3]) :]
            self._flow.verbatim("───", _DIM)
        elif heading := _HEADING.match(rest):
            self._line = "text"
            self._flow.hang = ""
            self._style = _TITLE if len(heading[1]) == 1 else _BOLD
            self._rest = rest[len(heading[0]) :]
        elif (quote := _QUOTE.match(rest)) is not None:
            self._line = "text"
            self._flow.hang = f"{quote[1]}│ "
            self._style = _ITALIC
            self._open(quote[0], f"{quote[1]}│ ", _DIM)
        else:
            super()._begin_text(rest, last)

    def _mark(self, sign: str) -> str:
        return sign if sign[0].isdigit() else "•"

    def _text(self, last: bool) -> bool:
        line, newline, rest = self._rest.partition("\n")
        kept = self._spans(line, self._style, before="", ended=last or bool(newline))
        if kept:
            self._rest = kept
            return False
        self._end_text(newline, rest)
        return True

    def _spans(self, text: str, style: str, *, before: str, ended: bool) -> str:
        """Shows a line's text with what its signs mean; returns what can't be decided before more of it has come."""
        while text:
            special = re.search(r"[`*_~\\]", text)
            if special is None:
                self._flow.put(text, style)
                return ""
            at = special.start()
            if at:
                self._flow.put(text[:at], style)
                before, text = text[at - 1], text[at:]
            if len(text) == 1 and not ended:
                return text
            taken = self._span(text, style, before, ended)
            if not taken:
                return text
            before, text = text[taken - 1], text[taken:]
        return ""

    def _span(self, text: str, style: str, before: str, ended: bool) -> int:
        """Shows what begins with a sign; returns how many characters that was, 0 if more of the line has to come."""
        if text[0] == "\\":
            if text[1:2] and text[1] in _PUNCTUATION:
                self._flow.put(text[1], style)
                return 2
            self._flow.put(text[0], style)
            return 1
        run = _RUN.match(text)
        if run is None:
            self._flow.put(text[0], style)
            return 1
        sign = run[0]
        if len(sign) == len(text) and not ended:
            return 0
        if not _opens(sign, text[len(sign) : len(sign) + 1], before):
            self._flow.put(sign, style)
            return len(sign)
        end = _end_of(sign, text, ended)
        if end is None:
            if not ended and len(text) < _SPAN:
                return 0
            self._flow.put(sign, style)
            return len(sign)
        inner = text[len(sign) : end]
        if sign[0] == "`":
            self._flow.put(inner.strip(" ") or inner, _joined(style, _CODE))
        else:
            own = _STRUCK if sign[0] == "~" else _STYLES[len(sign)]
            self._spans(inner, _joined(style, own), before=sign[-1], ended=True)
        return end + len(sign)

    def _show_fence(self, line: str) -> None:
        self._flow.verbatim(line, _DIM)

    def _show_code(self, text: str) -> None:
        self._flow.verbatim(text, _CODE)


def _joined(style: str, more: str) -> str:
    return f"{style};{more}" if style else more


def _opens(sign: str, after: str, before: str) -> bool:
    if sign[0] == "`":
        return True
    return bool(after) and not after.isspace() and not (sign[0] == "_" and before.isalnum())


def _end_of(sign: str, text: str, ended: bool) -> int | None:
    """Where the signs that end the span stand; None where they have not come."""
    at = len(sign)
    while (at := text.find(sign, at)) >= 0:
        behind = at + len(sign)
        if behind == len(text) and not ended:
            return None  # More of the same sign may follow.
        alone = text[at - 1] != sign[0] and text[behind : behind + 1] != sign[0]
        if sign[0] == "`":
            if alone:
                return at
        elif alone and not text[at - 1].isspace() and not (sign[0] == "_" and text[behind : behind + 1].isalnum()):
            return at
        at += 1
    return None

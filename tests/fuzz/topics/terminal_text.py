"""Names and messages of others at a terminal and in JSON: nothing that would steer it, and nothing that is lost."""

import io
import json
import unicodedata
from contextlib import redirect_stderr, redirect_stdout

from llmspell_cli.errors import one_line
from llmspell_cli.invocation import Options
from llmspell_cli.terminal.output import Output, compact, document_text
from llmspell_cli.terminal.visible import visible, visible_lines
from llmspell_protocol.errors import LlmspellError, ModelNotFound
from llmspell_protocol.plain_text import whole_text
from tests.fuzz.hostile_text import hostile_text
from tests.fuzz.trial import Trial

_HIDDEN = ("Cc", "Zl", "Zp", "Cs")
_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Bytes(io.TextIOWrapper):
    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding, errors="replace")


def run(trial: Trial) -> None:
    """Shows texts in every way in which commands show those of others."""
    while trial.more():
        text = hostile_text(trial.random)
        assert _seen(visible(text)) == "", f"{text!r} → {visible(text)!r}"
        assert _seen(visible_lines(text), but="\n\t") == "", f"{text!r} → {visible_lines(text)!r}"
        _at_a_terminal(text, trial)
        for encoding in ("utf-8", "ascii", "latin-1", "cp1252", "koi8-r"):
            _in_json(text, encoding)


def _seen(shown: str, but: str = "") -> str:
    """What of a text would not be seen but felt."""
    return "".join(
        sign for sign in shown if sign not in but and (unicodedata.category(sign) in _HIDDEN or sign in _DIRECTIONS)
    )


def _at_a_terminal(text: str, trial: Trial) -> None:
    output = Output(Options(output=trial.random.choice(("text", "pretty")), color=False))
    with redirect_stdout(_Terminal()) as out, redirect_stderr(_Terminal()) as err:
        output.line(text)
        assert out.getvalue().count("\n") == 1, f"{text!r} is not a line: {out.getvalue()!r}"
        output.table(["NAME", "OTHER"], [[text, "x"], ["y", text]])
        output.properties([("Name", text)])
        output.prose(text)
        output.lines(text)
        output.as_it_is(text)
        output.note(text)
        output.warning(text)
        output.hint(text)
        output.log(text)
        print(one_line(LlmspellError(text, hint=text)))
        print(one_line(ModelNotFound(text, details={"reasons": {text: text}})))
    with redirect_stdout(io.StringIO()) as piped:
        output.table(["NAME", "OTHER"], [[text, "x"], ["y", text]])
    assert piped.getvalue().count("\n") == 3 + output.pretty * 3, f"{text!r} is not a cell: {piped.getvalue()!r}"
    for said in (out.getvalue(), err.getvalue()):
        assert _seen(said, but="\n\t") == "", f"{text!r} → {said!r}"


def _in_json(text: str, encoding: str) -> None:
    document = {"text": text, text: [text]}
    whole = {"text": whole_text(text), whole_text(text): [whole_text(text)]}
    for dump in (document_text, compact):
        stream = _Bytes(encoding)
        stream.write(dump(document, stream))
        stream.flush()
        data = stream.buffer.getvalue()  # type: ignore[attr-defined]
        assert json.loads(data.decode("utf-8")) == whole, f"{text!r} in {encoding}: {data!r}"
        assert _seen(data.decode("utf-8"), but="\n") == "", f"{text!r} in {encoding}: {data!r}"

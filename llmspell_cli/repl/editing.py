"""The line editor as the repl uses it: what Tab offers, and colours for Lua. Import it where there is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.lexers import Lexer, PygmentsLexer, SimpleLexer
from prompt_toolkit.styles import Style
from pygments.lexers.scripting import LuaLexer

from llmspell_cli.repl.candidates import Candidates
from llmspell_cli.repl.dot_commands import is_command
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.line_editor import LineEditor

_STYLE = Style.from_dict(
    {
        "pygments.keyword": "ansimagenta bold",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansicyan",
        "pygments.name.builtin": "ansicyan",
        "pygments.comment": "ansibrightblack italic",
    }
)
"""The terminal's own colours, so that they can be read on a dark ground as well as on a light one."""


def repl_editor(
    interrupts: Interrupts,
    *,
    color: bool,
    incomplete: Callable[[str], bool],
    inputs: Sequence[str],
    offer: Callable[[str, int], Candidates],
) -> LineEditor:
    """An editor for scripts and dot-commands; `inputs` are those of earlier sessions, `offer` is asked by Tab."""
    return LineEditor(
        interrupts,
        color=color,
        incomplete=incomplete,
        history=InMemoryHistory(inputs),
        completer=_Offers(offer),
        lexer=_Colors() if color else None,
        style=_STYLE,
    )


class _Offers(Completer):
    def __init__(self, offer: Callable[[str, int], Candidates]) -> None:
        self._offer = offer

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The candidates at the cursor."""
        found = self._offer(document.text, document.cursor_position)
        for text in found.texts:
            yield Completion(text, start_position=found.start - document.cursor_position)


class _Colors(Lexer):
    """Lua in colours, commands without."""

    def __init__(self) -> None:
        self._lua = PygmentsLexer(LuaLexer)
        self._plain = SimpleLexer()

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from line number to coloured text."""
        lexer = self._plain if is_command(document.text) else self._lua
        return lexer.lex_document(document)

"""Colours for the repl's inputs: Lua in the terminal's own, commands without. Import it where there is a terminal."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer, PygmentsLexer, SimpleLexer
from prompt_toolkit.styles import Style
from pygments.lexers.scripting import LuaLexer

from llmspell_cli.repl.dot_commands import is_command

STYLE = Style.from_dict(
    {
        "pygments.keyword": "ansimagenta bold",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansicyan",
        "pygments.name.builtin": "ansicyan",
        "pygments.comment": "ansibrightblack italic",
    }
)
"""Colours that can be read on a dark ground as well as on a light one."""


class InputColors(Lexer):
    """Lua in colours, commands without."""

    def __init__(self) -> None:
        self._lua = PygmentsLexer(LuaLexer)
        self._plain = SimpleLexer()

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from line number to coloured text."""
        lexer = self._plain if is_command(document.text) else self._lua
        return lexer.lex_document(document)

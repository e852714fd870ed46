"""Words of a model's template that stand in a user's text: there they are text. Knows no engine.

Templates mark turns with tokens such as <|im_end|>, and engines read a finished prompt token for token: a quoted page
with that word in it would end the turn, and go on in any role. No engine here can be told which part of a
prompt is text, so the word is parted by a blank after its first character, which makes it ordinary characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Tokenize = Callable[[str, bool], Sequence[int]]
"""The tokens of a text; with True control words are tokens of their own, with False nothing but characters."""

_CANDIDATE = re.compile(r"<[^<>\s]{1,64}>|\[[^\[\]\s]{1,32}\]")
"""How control words are written, in all vocabularies of the field: <s>, <|eot_id|>, <start_of_turn>, [INST]."""
_REMEMBERED = 4096
_ASKED = 256
"""Words of one text that the vocabulary is asked about; one takes about a millisecond."""


class ControlWords:
    """The control words of one vocabulary, found as texts name them; may be used by several threads."""

    def __init__(self, tokenize: Tokenize) -> None:
        self._tokenize = tokenize
        self._known: dict[str, bool] = {}

    def parted(self, text: str) -> str:
        """A text whose control words are parted."""
        if _CANDIDATE.search(text) is None or not self._has_control(text):
            return text
        left = _ASKED

        def part(found: re.Match[str]) -> str:
            nonlocal left
            word = found[0]
            if word not in self._known:
                left -= 1
            # Of a text that is full of them, words are parted unasked.
            is_control = left < 0 or self._is_control(word)
            return f"{word[0]} {word[1:]}" if is_control else word

        parted = _CANDIDATE.sub(part, text)
        # What was parted may have stood inside a longer one.
        return parted if parted == text else self.parted(parted)

    def _has_control(self, text: str) -> bool:
        return len(self._tokenize(text, True)) != len(self._tokenize(text, False))

    def _is_control(self, word: str) -> bool:
        known = self._known.get(word)
        if known is None:
            known = self._has_control(word)
            if len(self._known) < _REMEMBERED:
                self._known[word] = known
        return known

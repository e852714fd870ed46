"""What a request has answered so far, for the error that ends it: pieces of text by name, the last of them kept."""

from __future__ import annotations

from collections import deque

KEPT_CHARACTERS = 256 * 1024
"""Of each text; a script may print for hours, and an error shows no more than the end."""


class PartialText:
    """The end of a text that comes in pieces; adding one costs the same however long it has become."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._size = 0

    def add(self, piece: str) -> None:
        """Appends a piece; whole pieces beyond the limit go at the front."""
        self._pieces.append(piece)
        self._size += len(piece)
        while self._size - len(self._pieces[0]) >= KEPT_CHARACTERS:
            self._size -= len(self._pieces.popleft())

    def __str__(self) -> str:
        return "".join(self._pieces)[-KEPT_CHARACTERS:]


class Partial:
    """The texts of one request by name: `text`, `reasoning`, `stdout`, `stderr`."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: dict[str, PartialText] = {}

    def add(self, name: str, piece: str) -> None:
        """Appends a piece to the text of this name."""
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = PartialText()
        text.add(piece)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, name: str) -> str:
        """The end of the text of this name; empty where there is none."""
        return str(self._texts[name]) if name in self._texts else ""

    def content(self) -> dict[str, str]:
        """The texts, as `details.partial` shows them."""
        return {name: str(text) for name, text in self._texts.items()}

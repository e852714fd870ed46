"""Texts that a debugger was told, by the paths that stand for them: as many as are of use, and no more."""

from __future__ import annotations

from typing import Generic, TypeVar

MOST_TEXTS = 2_000
MOST_LENGTH = 16 << 20
"""Of all of them together, in characters or bytes."""

Text = TypeVar("Text", str, bytes)


class Texts(Generic[Text]):
    """The texts that were told last."""

    def __init__(self) -> None:
        self._by_path: dict[str, Text] = {}
        self._length = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_path)

    def keep(self, path: str, text: Text) -> None:
        """Keeps the text of a path; where there are too many, the oldest is forgotten."""
        self._forget(path)
        self._by_path[path] = text
        self._length += len(text)
        while len(self._by_path) > 1 and (len(self._by_path) > MOST_TEXTS or self._length > MOST_LENGTH):
            self._forget(next(iter(self._by_path)))

    def get(self, path: str) -> Text | None:
        """The text of a path; None where it is not known."""
        return self._by_path.get(path)

    def all(self) -> tuple[tuple[str, Text], ...]:
        """Paths and texts, the oldest first."""
        return tuple(self._by_path.items())

    def clear(self) -> None:
        """Forgets all."""
        self._by_path.clear()
        self._length = 0

    def _forget(self, path: str) -> None:
        text = self._by_path.pop(path, None)
        if text is not None:
            self._length -= len(text)

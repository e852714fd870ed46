"""A text that is put together from parts, for documents whose text isn't their source: HTML, DOCX, tables, JSON."""

from __future__ import annotations

from llmspell_rag.documents.text import Heading, Section, demand_length, sections_of, whole_characters


class Written:
    """Parts one after the other, with where each began.

    Raises, where a part is added: `InvalidRequest` when the text has become longer than a document's may be.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[str] = []
        self._headings: list[Heading] = []
        self.length = 0
        self.blocks: list[int] = []
        self.records: list[int] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    @property
    def sections(self) -> list[Section]:
        """The headings' sections."""
        return sections_of(self._headings, self.length)

    def block(self, text: str) -> None:
        """A paragraph or the like, after a blank line; nothing where there is nothing in it."""
        if text.strip():
            self._begin("\n\n")
            self.blocks.append(self.length)
            self._add(text)

    def heading(self, text: str, level: int) -> None:
        """A heading: a block in one line."""
        line = " ".join(text.split())
        if line:
            self.block(line)
            self._headings.append(Heading(self.blocks[-1], level, line))

    def record(self, text: str) -> None:
        """A row or the like, after a blank line."""
        if text.strip():
            self._begin("\n\n")
            self.records.append(self.length)
            self._add(text)

    def _begin(self, gap: str) -> None:
        if self._parts:
            self._parts.append(gap)
            self.length += len(gap)

    def _add(self, text: str) -> None:
        self._parts.append(whole_characters(text))
        self.length += len(text)
        demand_length(self.length, self._name)

"""An open database of collections in this process, asked as the worker is asked, and vectors of letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Chunk, Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.calls import Calls
from llmspell_rag.index.closeness import numpy

PLACE = Place(owner="key")
DIMENSION = 16


class Room:
    """An open database."""

    def __init__(self, path: Path | None, settings: IndexSettings | None = None) -> None:
        self.calls = Calls(ops.Open(path=None if path is None else str(path), settings=settings or IndexSettings()))

    def ask(self, op: str, **fields: Any) -> Any:
        return self.calls.act(op, ops.OPS[op].request(**fields), lambda: True, lambda done, total: None)

    def write(self, id: str, texts: list[str], vectors: Any = None, place: Place = PLACE, **about: Any) -> Any:
        if self.ask("describe", place=place).figures is None:
            self.ask("create", place=place, model="m", dimension=DIMENSION)
        if vectors is None:
            np = numpy()
            vectors = np.vstack([embedded(text) for text in texts]) if texts else np.empty((0, DIMENSION))
        document = Document(id=id, hash=about.pop("hash", "h"), **about)
        self.ask("begin", place=place, write=1, model="m", dimension=DIMENSION, document=document)
        made = [Chunk(ordinal=at, text=one, start=0, end=len(one), tokens=2) for at, one in enumerate(texts)]
        self.ask("add", write=1, chunks=made, vectors=vectors.astype("<f4").tobytes())
        return self.ask("commit", write=1)

    def search(self, query: str, **fields: Any) -> list[str]:
        given: dict[str, Any] = {"place": PLACE, "k": 5, "method": "words", **fields}
        return [hit.id for hit in self.ask("search", query=query, **given).hits]


def embedded(text: str) -> Any:
    """A vector of a text's letters: the same for the same, near for much alike."""
    np = numpy()
    found = np.zeros(DIMENSION, np.float32)
    for letter in text.lower():
        found[ord(letter) % DIMENSION] += 1
    return found / max(1e-6, float(np.linalg.norm(found)))

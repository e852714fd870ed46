"""`model_request` about texts that are no chats: vectors, scores, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llmspell_protocol.areas.action import buffer
from llmspell_protocol.models import Usage
from llmspell_protocol.structs import Struct

Purpose = Literal["query", "passage"]


class ModelEmbed(Struct):
    """One vector a text; `model` absent: `models.embedding`, else an installed embedding model, else the default.

    `purpose` puts before every text what the model wants before questions or before passages that answer them; absent:
    the texts as they are.
    """

    input: Sequence[str]
    model: str | None = None
    normalize: bool = True
    purpose: Purpose | None = None


class ModelEmbedReply(Struct):
    """The vectors are the reply's one buffer: `shape` of float32, little-endian, row by row."""

    model: str
    backend: str
    count: int
    dimensions: int
    shape: Sequence[int]
    dtype: Literal["float32"]
    normalized: bool
    usage: Usage
    warnings: Sequence[str] = ()
    """what should be known about the model, where none was named"""
    vectors: bytes = buffer()


class ModelRerank(Struct):
    """How well texts answer a question, by a model that was made for that."""

    model: str
    query: str
    texts: Sequence[str]


class ModelRerankReply(Struct):
    """A score a text, in the order of the texts: higher is better, on the model's own scale."""

    model: str
    backend: str
    scores: Sequence[float]
    usage: Usage


class ModelTokenize(Struct):
    """The model's own token ids of a text."""

    model: str
    text: str


class ModelTokenizeReply(Struct):
    """The model's own token ids."""

    tokens: Sequence[int]
    count: int

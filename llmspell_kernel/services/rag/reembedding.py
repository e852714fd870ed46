"""A place whose passages get vectors of another model: page by page, searched with the old ones until all are there.

What has come is kept: cut in the middle, it goes on where it was. Knows the collections worker and one model.
"""

from __future__ import annotations

from llmspell_kernel.services.rag.collections import Collections
from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.progress import Progress
from llmspell_protocol.errors import Conflict
from llmspell_protocol.rag.ops import (
    Nothing,
    ReplaceBegin,
    ReplaceBegun,
    ReplaceCommit,
    Replaced,
    ReplaceVectors,
    Texts,
    TextsThere,
)
from llmspell_protocol.rag.places import Figures, Place

_MOST_ROUNDS = 10
"""Documents may be written meanwhile, whose chunks come after."""


def told_of_change(figures: Figures, embedder: Embedder) -> str:
    """What is said before it."""
    return (
        f"collection '{figures.place.collection}' has vectors of {figures.model}: "
        f"all {figures.chunks:,} passages are embedded again by {embedder.model.name}"
    )


async def reembed(
    collections: Collections, place: Place, embedder: Embedder, progress: Progress, *, batch_size: int
) -> int:
    """Gives a place the vectors of a model; how many were computed.

    Raises:
        Conflict: it was written to all the time.
        LlmspellError: as the model and the worker; what has come is kept.
    """
    model, dimension = embedder.model.name, await embedder.dimension()
    made = 0
    with collections.writing():
        begun = await collections.ask(ReplaceBegin(place=place, model=model, dimension=dimension), ReplaceBegun)
        progress.chunks, progress.chunks_done = begun.total, begun.done
        progress.restart()
        for _ in range(_MOST_ROUNDS):
            made += await _fill(collections, place, embedder, progress, batch_size)
            progress.tell("indexing")
            if not (await collections.ask(ReplaceCommit(place=place), Replaced)).lacking:
                return made
    raise Conflict(
        f"collection '{place.collection}' was written to while it was embedded again",
        hint="the same again goes on where this has ended",
    )


async def _fill(collections: Collections, place: Place, embedder: Embedder, progress: Progress, batch_size: int) -> int:
    made, after = 0, 0
    while True:
        page = await collections.ask(Texts(place=place, after=after, limit=batch_size, lacking=True), TextsThere)
        if page.chunks:
            found = await embedder.vectors([chunk.text for chunk in page.chunks], "passage")
            numbers = [chunk.number for chunk in page.chunks]
            await collections.ask(ReplaceVectors(place=place, numbers=numbers, vectors=found.data), Nothing)
            made += len(numbers)
            progress.chunks_done += len(numbers)
            progress.tell("embedding")
        if page.after is None:
            return made
        after = page.after

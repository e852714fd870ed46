"""How near two vectors are, by each metric, and what of it a score from 0 to 1 is. Knows arrays alone."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from llmspell_protocol.rag.settings import Metric
from llmspell_rag.libraries import library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Vectors = NDArray[np.float32]

# Closeness is what vectors are ordered by, the nearest first: the cosine, the inner product, or the negative square of
# the Euclidean distance.


@functools.cache
def numpy() -> Any:
    """The library numpy.

    Raises:
        Unsupported: it isn't installed.
    """
    return library("numpy", "numpy", "searching by meaning")


def read_vectors(data: bytes, dimension: int) -> Vectors:
    """Vectors of a frame or a database, float32 [number, dimension]; not a copy."""
    found: Vectors = numpy().frombuffer(data, "<f4").reshape(-1, dimension)
    return found


def prepared(vectors: Vectors, metric: Metric) -> Vectors:
    """Vectors as they are compared: for the cosine of length 1, where they have a length."""
    if metric != "cosine":
        return vectors
    np = numpy()
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    lengths[lengths == 0.0] = 1.0
    found: Vectors = (vectors / lengths).astype(np.float32, copy=False)
    return found


def prepared_one(vector: Vectors, metric: Metric) -> Vectors:
    """One vector [dimension], as `prepared` has several."""
    length = math.sqrt(float(vector @ vector)) if metric == "cosine" else 1.0
    return vector if length in (0.0, 1.0) else vector / numpy().float32(length)


def closeness(vectors: Vectors, wanted: Vectors, metric: Metric) -> Vectors:
    """Of prepared vectors [number, dimension] to one prepared vector [dimension]; float32 [number]."""
    np = numpy()
    if metric == "euclidean":
        apart = vectors - wanted
        return -np.einsum("ij,ij->i", apart, apart)  # type: ignore[no-any-return]
    return vectors @ wanted


def score(close: float, metric: Metric) -> float:
    """A closeness as a number from 0 to 1: a cosine below 0 is 0, of distances 1 ÷ (1 + distance)."""
    if metric == "cosine":
        found = close
    elif metric == "euclidean":
        found = 1.0 / (1.0 + math.sqrt(max(0.0, -close)))
    else:
        found = 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, close))))
    return max(0.0, min(1.0, found))


def nearest(close: Vectors, numbers: Numbers, k: int) -> tuple[Numbers, Vectors]:
    """The `k` nearest, the nearest first; of equally near ones the lower number."""
    np = numpy()
    if len(close) > k:
        # Whatever is as near as the last one stays, so that the number decides and not the order of the parts.
        last = np.partition(close, len(close) - k)[len(close) - k]
        kept = np.flatnonzero(close >= last)
        close, numbers = close[kept], numbers[kept]
    order = np.lexsort((numbers, -close))[:k]
    return numbers[order], close[order]

"""How vectors are found, and how many there may be: what a kernel hands to its worker when it begins."""

from __future__ import annotations

from typing import Literal

from llmspell_protocol.rag.record import Record

Metric = Literal["cosine", "euclidean", "inner_product"]
Quantization = Literal["f32", "f16", "i8"]

EXACT_LIMIT = 20_000
"""So many vectors are compared one by one; only of more is a graph made."""


class IndexSettings(Record):
    """`[rag.vector_storage]`, and what of `[rag.embedding]` the database keeps."""

    metric: Metric = "cosine"
    quantization: Quantization = "f16"
    """of a graph's vectors; those of the database are what the model gave"""
    m: int = 16
    ef_construction: int = 200
    ef_search: int | None = None
    """None: as many as the index needs to find 99 of 100, by its size"""
    num_threads: int | None = None
    """None: as many as there are cores"""
    parallel_batch_size: int = 128
    allow_replace_deleted: bool = True
    """whether a graph reuses the places of vectors that were removed; else it is made anew when many were"""
    max_elements: int = 1_000_000
    """of one place"""
    max_memory_bytes: int | None = None
    """of the vectors and graphs of all places together; None: no limit"""
    exact_limit: int = EXACT_LIMIT
    is_mapped: bool = True
    """whether a saved graph is mapped into memory, and read only where it is searched"""
    save_interval_s: float = 60.0
    """a changed index is saved this long after its first change at the latest"""
    max_documents: int | None = None
    """of one place"""
    max_bytes: int | None = None
    """of one place"""
    cached_embeddings: int = 10_000
    """0: none are kept"""
    cache_ttl_s: float = 3600.0

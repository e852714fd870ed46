"""What the collections worker is told of the settings: where the database is, and how vectors are indexed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_protocol.rag.settings import IndexSettings

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

_MB = 1 << 20
DATABASE = "rag.db"


def database_path(settings: RagSettings, home: Path) -> Path | None:
    """The file of the database: in the directory that the settings name, else in `rag` of the home; None: memory."""
    # The kernel's other services need no table of RAG.
    from llmspell_profiles.schema.rag import MEMORY

    directory = settings.vector_storage.persistence_path
    if directory is None:
        directory = home / "rag"
    return None if directory.name == MEMORY else directory / DATABASE


def index_settings(settings: RagSettings) -> IndexSettings:
    """`[rag.vector_storage]` and the cache of `[rag.embedding]` as the worker has them."""
    storage, embedding = settings.vector_storage, settings.embedding
    hnsw = storage.hnsw
    return IndexSettings(
        metric=hnsw.metric,
        quantization=storage.quantization,
        m=hnsw.m,
        ef_construction=hnsw.ef_construction,
        # What is not written is as good as the index needs.
        ef_search=hnsw.ef_search if "ef_search" in hnsw.given else None,
        num_threads=hnsw.num_threads,
        parallel_batch_size=hnsw.parallel_batch_size,
        allow_replace_deleted=hnsw.allow_replace_deleted,
        max_elements=hnsw.max_elements,
        max_memory_bytes=storage.max_memory_mb * _MB,
        is_mapped=hnsw.enable_mmap,
        save_interval_s=float(hnsw.mmap_sync_interval),
        max_documents=storage.max_documents,
        max_bytes=None if storage.max_storage_mb is None else storage.max_storage_mb * _MB,
        cached_embeddings=embedding.cache_size if embedding.cache_enabled else 0,
        cache_ttl_s=float(embedding.cache_ttl_seconds),
    )

"""What the collections worker is told of `[rag]`, and where the database is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.services.rag.index_settings import database_path, index_settings
from llmspell_protocol.rag.settings import IndexSettings
from tests.support.settings import settings_from


def told(toml: str, home: Path) -> IndexSettings:
    return index_settings(settings_from(toml, home).rag)


def test_the_database_is_in_the_home_unless_a_directory_is_named(tmp_path: Path) -> None:
    assert database_path(settings_from("", tmp_path).rag, tmp_path) == tmp_path / "rag" / "rag.db"
    named = f'[rag.vector_storage]\npersistence_path = "{tmp_path}/vectors"\n'
    assert database_path(settings_from(named, tmp_path).rag, tmp_path) == tmp_path / "vectors" / "rag.db"


def test_nothing_is_kept_where_the_directory_is_memory(tmp_path: Path) -> None:
    memory = '[rag.vector_storage]\npersistence_path = ":memory:"\n'
    assert database_path(settings_from(memory, tmp_path).rag, tmp_path) is None


def test_without_settings_an_index_is_as_good_as_it_needs_to_be(tmp_path: Path) -> None:
    assert told("", tmp_path) == IndexSettings(max_memory_bytes=500 << 20)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("hnsw.m = 32", "m", 32),
        ("hnsw.ef_construction = 500", "ef_construction", 500),
        ("hnsw.ef_search = 50", "ef_search", 50),
        ("hnsw.max_elements = 10", "max_elements", 10),
        ('hnsw.metric = "innerproduct"', "metric", "inner_product"),
        ("hnsw.allow_replace_deleted = false", "allow_replace_deleted", False),
        ("hnsw.num_threads = 2", "num_threads", 2),
        ("hnsw.parallel_batch_size = 64", "parallel_batch_size", 64),
        ("hnsw.enable_mmap = false", "is_mapped", False),
        ("hnsw.mmap_sync_interval = 5", "save_interval_s", 5.0),
        ('quantization = "i8"', "quantization", "i8"),
        ("max_memory_mb = 1", "max_memory_bytes", 1 << 20),
        ("max_documents = 7", "max_documents", 7),
        ("max_storage_mb = 2", "max_bytes", 2 << 20),
    ],
)
def test_a_setting_of_the_storage_is_told(tmp_path: Path, line: str, name: str, value: object) -> None:
    assert getattr(told(f"[rag.vector_storage]\n{line}\n", tmp_path), name) == value


def test_the_cache_of_embeddings_is_told_and_none_where_it_is_off(tmp_path: Path) -> None:
    table = "[rag.embedding]\ncache_size = 5\ncache_ttl_seconds = 9\n"
    assert (told(table, tmp_path).cached_embeddings, told(table, tmp_path).cache_ttl_s) == (5, 9.0)
    assert told("[rag.embedding]\ncache_enabled = false\n", tmp_path).cached_embeddings == 0

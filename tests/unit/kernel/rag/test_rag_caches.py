"""What RAG remembers of searches and documents, and how many operations there may be."""

from __future__ import annotations

import pytest

from llmspell_kernel.services.rag.contents import Content, Contents
from llmspell_kernel.services.rag.rates import Rate
from llmspell_kernel.services.rag.search_cache import SearchCache
from llmspell_protocol.errors import Busy
from llmspell_protocol.rag.documents import Chunk


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_search_is_remembered_until_its_place_changes() -> None:
    cache: SearchCache[str] = SearchCache()
    cache.put("q", 1, "found", size=10, ttl_s=60)
    assert cache.get("q", 1) == "found"
    assert cache.get("q", 2) is None
    assert cache.get("q", 1) is None


def test_a_search_is_forgotten_after_its_time() -> None:
    clock = Clock()
    cache: SearchCache[str] = SearchCache(clock)
    cache.put("q", 1, "found", size=10, ttl_s=60)
    clock.now += 60
    assert cache.get("q", 1) is None


def test_of_too_many_searches_the_one_that_was_asked_longest_ago_goes() -> None:
    cache: SearchCache[str] = SearchCache()
    for name in ("a", "b"):
        cache.put(name, 1, name, size=2, ttl_s=60)
    cache.get("a", 1)
    cache.put("c", 1, "c", size=2, ttl_s=60)
    assert [cache.get(name, 1) for name in ("a", "b", "c")] == ["a", None, "c"]


def content(text: str) -> Content:
    return Content(None, None, len(text), len(text), {}, [Chunk(ordinal=0, text=text, start=0, end=1, tokens=1)])


def test_documents_are_kept_up_to_a_size() -> None:
    contents = Contents()
    for name in ("a", "b", "c"):
        contents.put(name, f"hash {name}", content("x" * 1000), size_bytes=3000)
    assert contents.get("a") is None
    assert contents.get("c") == ("hash c", content("x" * 1000))
    contents.put("d", "hash d", content("x" * 10_000), size_bytes=3000)
    assert all(contents.get(name) is None for name in "abcd")


def test_so_many_operations_are_admitted_in_a_minute() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.admit("ada", 2, "a.setting")
    clock.now += 20
    rate.admit("ada", 2, "a.setting")
    with pytest.raises(Busy, match="rate limit: 2 RAG operations in a minute") as refused:
        rate.admit("ada", 2, "a.setting")
    assert refused.value.details == {"retry_after_s": 40.0, "setting": "a.setting"}
    rate.admit("eve", 2, "a.setting")
    clock.now += 41
    rate.admit("ada", 2, "a.setting")

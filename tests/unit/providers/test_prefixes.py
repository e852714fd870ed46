"""What embedding models want before questions and passages: by their names, and by their own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_providers.library.catalog import Catalog
from llmspell_providers.library.pooling import read_pooling
from llmspell_providers.library.prefixes import Prefixes, known_prefixes

SEARCHING = "Represent this sentence for searching relevant passages: "
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"


@pytest.mark.parametrize(
    ("name", "prefixes"),
    [
        ("nomic-embed-text", ("search_query: ", "search_document: ")),
        ("nomic-embed-text:v1.5", ("search_query: ", "search_document: ")),
        ("hf.co/nomic-ai/nomic-embed-text-v1.5-GGUF", ("search_query: ", "search_document: ")),
        ("multilingual-e5-small", ("query: ", "passage: ")),
        ("intfloat/e5-base-v2", ("query: ", "passage: ")),
        ("multilingual-e5-large-instruct", (f"{INSTRUCT} ", "")),
        ("bge-small:en-v1.5", (SEARCHING, "")),
        ("hf://CompendiumLabs/bge-base-en-v1.5-gguf", (SEARCHING, "")),
        ("bge-small-zh-v1.5", ("为这个句子生成表示以用于检索相关文章：", "")),
        ("mxbai-embed-large", (SEARCHING, "")),
        ("snowflake-arctic-embed:335m", (SEARCHING, "")),
        ("snowflake-arctic-embed2", ("query: ", "")),
        ("Snowflake/snowflake-arctic-embed-m-v2.0", ("query: ", "")),
        ("qwen3-embedding:0.6b", (INSTRUCT, "")),
        ("embeddinggemma:300m", ("task: search result | query: ", "title: none | text: ")),
        ("bge-m3", ("", "")),
        ("all-minilm:l6-v2", ("", "")),
        ("text-embedding-3-small", ("", "")),
        ("something-else", ("", "")),
    ],
)
def test_a_model_is_known_by_its_name_wherever_it_runs(name: str, prefixes: tuple[str, str]) -> None:
    assert known_prefixes(name) == prefixes


def test_the_first_name_that_says_something_counts() -> None:
    assert known_prefixes("my-model", "hf://org/bge-base-en-v1.5-GGUF").query == SEARCHING


def test_a_purpose_chooses_and_no_purpose_means_nothing() -> None:
    prefixes = Prefixes("q: ", "p: ")
    assert [prefixes.of(purpose) for purpose in ("query", "passage", None)] == ["q: ", "p: ", ""]


def test_every_embedder_of_the_catalog_that_wants_words_is_known() -> None:
    names = {entry.id for entry in Catalog.load().entries if "embed" in entry.capabilities}
    assert {name for name in names if known_prefixes(name) == Prefixes()} == {"all-minilm:l6-v2", "bge-m3"}


@pytest.mark.parametrize(
    ("config", "query", "passage", "prompt"),
    [
        ({"prompts": {"query": "q: ", "document": "d: "}}, "q: ", "d: ", ""),
        ({"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "p: ", ""),
        ({"prompts": {"query": "q: "}}, "q: ", "", ""),
        ({"prompts": {"STS": "s: "}}, None, None, ""),
        ({"prompts": {}}, None, None, ""),
        ({"prompts": {"query": 3}}, None, None, ""),
        # What stands before every text is not doubled.
        ({"prompts": {"query": "q: ", "document": "d: "}, "default_prompt_name": "query"}, "", "", "q: "),
    ],
)
def test_a_checkpoints_own_prompts_are_read(
    tmp_path: Path, config: dict[str, Any], query: str | None, passage: str | None, prompt: str
) -> None:
    modules = [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
    ]
    files = {
        "modules.json": modules,
        "1_Pooling.config.json": {"pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": config,
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))

    pooling = read_pooling({name: tmp_path / name for name in files})

    assert pooling is not None
    assert (pooling.query, pooling.passage, pooling.prompt) == (query, passage, prompt)

"""What embedding models want before a question and before a passage, by their names. No disk, no network.

Most were trained with such words and find less without them. A checkpoint of sentence-transformers says itself what
they are (`pooling`); GGUF files, Ollama and servers do not, so they stand here, from the models' own cards.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Prefixes(NamedTuple):
    """What is put before a text by what it is embedded for; empty: nothing."""

    query: str = ""
    passage: str = ""

    def of(self, purpose: str | None) -> str:
        """The prefix for `query` or `passage`; nothing where no purpose is given."""
        return "" if purpose is None else self.query if purpose == "query" else self.passage


_SEARCHING = "Represent this sentence for searching relevant passages: "
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

# The first that is found in a name, a spec or an address of the model counts.
_KNOWN: tuple[tuple[str, Prefixes], ...] = (
    # huggingface.co/nomic-ai/nomic-embed-text-v1.5, "Usage"
    (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
    # intfloat/multilingual-e5-large-instruct: an instruction before questions alone
    (r"\be5-.*instruct", Prefixes(f"{_INSTRUCT} ")),
    # intfloat/e5-small-v2, intfloat/multilingual-e5-small, "FAQ 1"
    (r"\be5-(small|base|large)", Prefixes("query: ", "passage: ")),
    # BAAI/bge-small-zh-v1.5
    (r"\bbge-(small|base|large)\S*zh", Prefixes("为这个句子生成表示以用于检索相关文章：")),
    # BAAI/bge-small-en-v1.5, "Using FlagEmbedding"; bge-m3 wants none
    (r"\bbge-(small|base|large)", Prefixes(_SEARCHING)),
    # mixedbread-ai/mxbai-embed-large-v1, "Quickstart"
    (r"mxbai-embed", Prefixes(_SEARCHING)),
    # Snowflake/snowflake-arctic-embed-m-v2.0; the first generation is below
    (r"arctic-embed\S*(v2|2\b)", Prefixes("query: ")),
    (r"arctic-embed", Prefixes(_SEARCHING)),
    # Qwen/Qwen3-Embedding-0.6B, config_sentence_transformers.json
    (r"qwen3-embedding", Prefixes(_INSTRUCT)),
    # google/embeddinggemma-300m, config_sentence_transformers.json
    (r"embedding-?gemma", Prefixes("task: search result | query: ", "title: none | text: ")),
)


def known_prefixes(*names: str) -> Prefixes:
    """The prefixes of a model with one of these names; none for a model that is not known, or that wants none."""
    for name in names:
        for words, prefixes in _KNOWN:
            if re.search(words, name, re.IGNORECASE):
                return prefixes
    return Prefixes()

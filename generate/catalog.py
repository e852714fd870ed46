"""Writes `docs/reference/catalog.md` from the packaged catalog: which model for what, and what it needs.

python -m generate.catalog           writes what has changed
python -m generate.catalog --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping

from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from llmspell_providers.library.catalog import Catalog, CatalogEntry
from llmspell_providers.residency.expected import CONTEXT_TOKENS, expected_bytes

INTRODUCTION = f"""\
# Which model for what, and what it needs

Written from the catalog by `make schemas`. `llmspell model pull NAME` fetches one; `llmspell model available` shows the
same and marks what fits your machine. **Start with `qwen3:4b`** on a laptop, `qwen3:1.7b` on a small machine and
`gpt-oss:20b` with 16 GB to spare.

*Disk* is the size of the default quantization, *memory* what the model takes with one conversation of
{CONTEXT_TOKENS:,} tokens. Both are estimates, most within a tenth. Loaded as usual a model keeps four (slots)
of up to its whole context, and takes more: `llmspell model ps` shows it. *Context* is the longest that the model was
trained for. Bold names are recommended. `A3B` behind a size: so many of the parameters work on each token, which makes
the model quick.

Other models are found with `llmspell model search WORDS` and pulled by address: `llmspell model pull hf.co/ORG/REPO`.
"""

_Test = Callable[[CatalogEntry], bool]

SECTIONS: Mapping[str, tuple[str, _Test]] = {
    "Chat": ("", lambda one: "chat" in one.capabilities and _is_general(one)),
    "Code": ("", lambda one: "code" in one.capabilities),
    "Reasoning": (
        "These think before every answer. Those that think where they are asked to stand under chat.",
        lambda one: "chat" in one.capabilities and "thinks before" in one.description,
    ),
    "Pictures": (
        "candle reads the text of these models. Pictures go to Ollama (`@ollama`) and to servers.",
        lambda one: one.family == "qwen3vl",
    ),
    "Embedding": (
        "For `llmspell embed`, search and comparison of texts.",
        lambda one: "embed" in one.capabilities,
    ),
    "Reranking": (
        "They score how well a text answers a question. The backends load them; a request for scores is not there yet.",
        lambda one: "rerank" in one.capabilities,
    ),
    "Translation and summaries": (
        "T5 models, for the engine torch (`pip install '.[torch]'` in the clone).",
        lambda one: one.family == "t5",
    ),
}


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {"catalog.md": "\n".join([INTRODUCTION, *_sections()]) + "\n"}


def _sections() -> Iterator[str]:
    entries = Catalog.load().entries
    for title, (note, belongs) in SECTIONS.items():
        yield f"## {title}\n"
        if note:
            yield f"{note}\n"
        chosen = [one for one in entries if one.backend == "candle" and belongs(one)]
        yield from table(
            ("Name", "Parameters", "Disk", "Memory", "Context", "Can", "Licence", "Good for"), map(_row, chosen)
        )
        yield ""
    yield "## Ollama\n"
    yield "Names that Ollama's own library has, a selection: `llmspell model pull NAME@ollama`.\n"
    own = [one for one in entries if one.backend == "ollama"]
    yield from table(("Name", "Parameters", "Can", "Licence", "Good for"), (_of_ollama(one) for one in own))


def _is_general(entry: CatalogEntry) -> bool:
    others = [test for title, (_, test) in SECTIONS.items() if title != "Chat"]
    return not any(test(entry) for test in others)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    name, parameters, able, licence, good_for = _of_ollama(entry)
    context = f"{entry.context_length:,}" if entry.context_length else ""
    return (name, parameters, _size(entry.size_bytes), _size(expected_bytes(entry)), context, able, licence, good_for)


def _of_ollama(entry: CatalogEntry) -> tuple[str, ...]:
    name = f"**`{entry.id}`**" if entry.recommended else f"`{entry.id}`"
    return (name, entry.parameters or "", ", ".join(entry.capabilities), entry.license or "", entry.description)


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))

"""What the extra brings is named where it is missing, and what needs none of it goes on."""

from __future__ import annotations

import sys

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.rag.reading import Chunking
from llmspell_rag.chunking.cutting import chunk
from llmspell_rag.documents.reading import read
from tests.support.pdf_files import pdf
from tests.support.token_counts import Counted, words


@pytest.mark.parametrize(
    ("module", "package", "source", "name"),
    [
        ("pypdfium2", "pypdfium2", pdf(["text"]), "x.pdf"),
        ("docx", "python-docx", b"PK\x03\x04", "x.docx"),
        ("selectolax.lexbor", "selectolax", b"<p>text", "x.html"),
        ("markdown_it", "markdown-it-py", b"# text", "x.md"),
        ("tree_sitter_go", "tree-sitter-go", b"package x", "x.go"),
    ],
)
def test_a_missing_library_is_named_with_how_it_is_installed(
    module: str, package: str, source: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unsupported, match=f"needs {package}, which is not installed") as told:
        read(source, name)
    assert "[rag]" in (told.value.hint or "")
    assert read(b"Plain words.", "x.txt").text == "Plain words."


def test_sentences_need_theirs_and_windows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    document = read(b"Plain words. More of them.", "x.txt")
    with pytest.raises(Unsupported, match="needs sentencex"):
        list(chunk(document, Chunking(strategy="sentence"), Counted(words, 100)))
    assert len(list(chunk(document, Chunking(strategy="sliding_window"), Counted(words, 100)))) == 1

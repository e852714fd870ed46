"""Everything that the pages tell a reader to type: it is typed, in their order, and answers as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_tree import every_call
from tests.support.reader import Reader, reader
from tests.support.snippets import ROOT, Snippet, commands, pages, snippets

RUN = ("console", "sh", "lua", "python")


def _to_do(page: Path) -> list[Snippet]:
    return [one for one in snippets(page) if not one.not_run and (one.language in RUN or one.title)]


PAGES = [page for page in pages() if _to_do(page)]


def _is_about_kernels(to_do: list[Snippet]) -> bool:
    """Whether a page starts, stops or counts kernels, so that none may be there before."""
    typed = [line for one in to_do if one.language in ("console", "sh") for line in commands(one)]
    typed += [line for one in to_do for line in one.setup]
    return any("kernel" in words for line in typed for words in every_call(line))


SCRIPTS = [
    page for page in PAGES if any(one.language == "lua" for one in _to_do(page)) and not _is_about_kernels(_to_do(page))
]
"""What has Lua in it and says nothing of kernels is followed in both modes."""


DOCUMENTS = ROOT / "docs" / "guide" / "rag.md"
SEARCHING = (DOCUMENTS, ROOT / "docs" / "guide" / "python.md")
"""What needs a model that makes vectors, too, and so a kernel of its own."""


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_a_page_says_works_as_it_says(
    page: Path, tmp_path: Path, models: Path, neighbour: Reader, request: pytest.FixtureRequest
) -> None:
    to_do = _to_do(page)
    with reader(tmp_path, request.getfixturevalue("searching_models") if page in SEARCHING else models) as one:
        if page == DOCUMENTS:
            assert one.runs("llmspell kernel start --daemon --port 0").status == 0
        elif not _is_about_kernels(to_do):
            one.joins(neighbour)
        for snippet in to_do:
            one.follows(snippet)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", SCRIPTS, ids=_name)
def test_what_a_page_says_of_scripts_works_without_a_kernel_too(
    page: Path, tmp_path: Path, models: Path, request: pytest.FixtureRequest
) -> None:
    with reader(tmp_path, request.getfixturevalue("searching_models") if page in SEARCHING else models) as one:
        for snippet in _to_do(page):
            one.follows(snippet)

"""The documentation's site as it is built: whole, and nothing on it comes from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.snippets import ROOT

LOADS = re.compile(
    r"""<(?:script|img|iframe|source|embed)\b[^>]*?\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|dns-prefetch|icon|modulepreload))"""
    r"""[^>]*?\bhref=["']?((?:https?:)?//[^"'\s>]+)""",
    re.IGNORECASE,
)
STYLES = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_nothing_on_the_site_is_loaded_from_elsewhere(site: Path) -> None:
    found = []
    for path in site.rglob("*"):
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            found += [f"{path.name}: {one}" for pair in LOADS.findall(text) for one in pair if one]
        if path.suffix in (".html", ".css", ".svg"):
            found += [f"{path.name}: {one}" for one in STYLES.findall(path.read_text(encoding="utf-8"))]
    assert found == []


def test_pages_of_the_repository_are_on_the_site(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="tutorial/first-answer.html"' in start
    assert 'href="protocol.html"' in start
    assert "model_request" in (site / "protocol.html").read_text(encoding="utf-8")
    assert (site / "examples" / "local_chat.lua").is_file()
    assert "A process per loaded model" in (site / "decisions" / "index.html").read_text(encoding="utf-8")


def test_every_page_can_be_reached_by_the_search(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert all(f'"{page}' in index for page in ("coming-from/ollama.html", "help/faq.html", "reference/lua.html"))

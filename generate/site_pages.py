"""What the documentation's site has beside `docs/`: a hook of mkdocs that brings further pages and mends links.

README, the wire, the changelog and CONTRIBUTING stand where people of the repository look for them. On the site they
are pages like others, so links between them and `docs/` are written for the repository and put right here.
"""

from __future__ import annotations

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from generate.files import ROOT

PAGES = {
    "README.md": "index.md",
    "protocol/README.md": "protocol.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Path in the repository → path on the site, of the pages that don't stand below `docs/`."""

EXAMPLES = "examples"

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^()\s]+)\)")
_FENCE = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and examples of the repository, and a list of the decisions."""
    for path, place in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text(encoding="utf-8")))
    for path in sorted(path for ending in ("lua", "ipynb") for path in (ROOT / EXAMPLES).glob(f"*.{ending}")):
        files.append(File.generated(config, f"{EXAMPLES}/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "decisions/index.md", content=_decisions()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the links of a page right that lead out of `docs/`, or into it."""
    on_site = page.file.src_uri
    repository = {place: path for path, place in PAGES.items()}
    at = posixpath.dirname(repository.get(on_site, f"docs/{on_site}"))
    parts = _FENCE.split(markdown)
    return "".join(part if _FENCE.fullmatch(part) else _mended(part, at, on_site, files) for part in parts)


def _mended(text: str, at: str, on_site: str, files: Files) -> str:
    def link(found: re.Match[str]) -> str:
        target, _, anchor = found["target"].partition("#")
        if not target or ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(at, target))
        place = _place(path)
        if files.get_file_from_path(place) is None:
            if not (ROOT / path).exists():
                raise PluginError(f"{on_site}: there is no {path}")
            return found["text"]  # A file of the repository that is no page.
        relative = posixpath.relpath(place, posixpath.dirname(on_site) or ".")
        return f"{found['image']}[{found['text']}]({relative}{'#' if anchor else ''}{anchor})"

    return _LINK.sub(link, text)


def _place(path: str) -> str:
    """Where a file of the repository stands on the site."""
    if path in PAGES:
        return PAGES[path]
    place = path.removeprefix("docs/")
    return f"{place}/index.md" if (ROOT / path).is_dir() else place


def _decisions() -> str:
    lines = ["# Decisions\n", "Choices that a maintainer might want to undo, with their reasons and what they cost.\n"]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"

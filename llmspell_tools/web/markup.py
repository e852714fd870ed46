"""HTML as tools read it: a page's title, meta data, links, images, and what CSS selectors find. Knows no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_protocol.extras import install_command

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_UNSEEN = ("script", "style", "noscript", "template")
_BLOCKS = (
    "address, article, aside, blockquote, br, dd, details, div, dl, dt, fieldset, figcaption, figure, footer, form, "
    "h1, h2, h3, h4, h5, h6, header, hr, li, main, nav, ol, option, p, pre, section, summary, table, tr, ul"
)
_BREAK = "\x1e"
"""Stands for the end of a line while a page's own line ends still are blanks."""


class Page:
    """A parsed page; `url` is what its links are relative to.

    Raises:
        Unsupported: the parser is not installed.
    """

    def __init__(self, html: str, url: str = "") -> None:
        self._tree = _parsed(html)
        self._base = url
        base = self._tree.css_first("base[href]")
        if base is not None:
            self._base = self._absolute(base.attributes.get("href")) or url

    @property
    def title(self) -> str:
        """The text of its title."""
        node = self._tree.css_first("title")
        return "" if node is None else _plain(node.text())

    @property
    def text(self) -> str:
        """What a reader sees, a line a block, without scripts and styles."""
        body = self._tree.body
        if body is None:
            return ""
        copy = _parsed((body.html or "").replace(_BREAK, " "))
        copy.strip_tags(list(_UNSEEN))
        for block in copy.css(_BLOCKS):
            block.insert_before(_BREAK)
            block.insert_after(_BREAK)
        for cell in copy.css("td, th"):
            cell.insert_after(" ")
        lines = (_plain(line) for line in copy.text().split(_BREAK))
        return "\n".join(line for line in lines if line)

    @property
    def meta(self) -> dict[str, str]:
        """Its meta data by name or property (`description`, `og:title`), and its canonical address."""
        found: dict[str, str] = {}
        for node in self._tree.css("meta[content]"):
            name = node.attributes.get("name") or node.attributes.get("property") or node.attributes.get("itemprop")
            if name:
                found.setdefault(name.lower(), node.attributes.get("content") or "")
        canonical = self._tree.css_first('link[rel~="canonical"][href]')
        if canonical is not None:
            found.setdefault("canonical", self._absolute(canonical.attributes.get("href")))
        return found

    def links(self) -> list[dict[str, str]]:
        """`{url, text}` of every link to somewhere else, each once."""
        found: dict[str, dict[str, str]] = {}
        for node in self._tree.css("a[href]"):
            href = (node.attributes.get("href") or "").strip()
            if href and not href.startswith("#") and not re.match(r"(javascript|data):", href, re.IGNORECASE):
                url = self._absolute(href)
                found.setdefault(url, {"url": url, "text": _plain(node.text())})
        return list(found.values())

    def images(self) -> list[dict[str, str]]:
        """`{url, alt}` of every image, each once."""
        found: dict[str, dict[str, str]] = {}
        for node in self._tree.css("img"):
            source = (node.attributes.get("src") or node.attributes.get("data-src") or "").strip()
            if source and not source.startswith("data:"):
                url = self._absolute(source)
                found.setdefault(url, {"url": url, "alt": node.attributes.get("alt") or ""})
        return list(found.values())

    def select(self, selector: str, attribute: str | None = None) -> list[str]:
        """The text of everything that a CSS selector finds, or one of its attributes (`href` and `src` in full).

        Raises:
            InvalidRequest: it is no selector.
        """
        return [text for node in self.nodes(selector) if (text := self._value(node, attribute)) is not None]

    def nodes(self, selector: str) -> list[LexborNode]:
        """What a CSS selector finds.

        Raises:
            InvalidRequest: it is no selector.
        """
        # Only here is its error met.
        from selectolax.lexbor import SelectolaxError

        try:
            return self._tree.css(selector)
        except (SelectolaxError, ValueError) as error:
            raise InvalidRequest(f"'{selector[:200]}' is not a CSS selector: {error}") from None

    def _value(self, node: LexborNode, attribute: str | None) -> str | None:
        if attribute is None:
            return _plain(node.text())
        value = node.attributes.get(attribute)
        return self._absolute(value) if value and attribute in ("href", "src") else value

    def _absolute(self, target: str | None) -> str:
        try:
            return urljoin(self._base, (target or "").strip())
        except ValueError:
            return target or ""

    def blocks(self, selector: str, **parts: tuple[str, str | None]) -> Iterator[dict[str, str]]:
        """For each block that a selector finds its parts by name: `(selector within, attribute or None for text)`.

        What a block doesn't have is empty.
        """
        for block in self.nodes(selector):
            found = {name: (block.css_first(inner), attribute) for name, (inner, attribute) in parts.items()}
            yield {
                name: "" if node is None else self._value(node, attribute) or ""
                for name, (node, attribute) in found.items()
            }


def _parsed(html: str) -> LexborHTMLParser:
    # A library of the extra `tools`, which few calls need.
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise Unsupported(
            "reading HTML needs the package selectolax, which is not installed", hint=install_command("tools")
        ) from None
    return LexborHTMLParser(html)


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())

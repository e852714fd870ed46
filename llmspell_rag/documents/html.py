"""HTML: what a reader came for, a block after the other, with headings; no scripts, menus, forms and footers."""

from __future__ import annotations

import re
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.text import Text, whole_characters
from llmspell_rag.documents.written import Written
from llmspell_rag.libraries import library

_UNSEEN = frozenset(
    (
        *(
            "audio",
            "button",
            "canvas",
            "dialog",
            "embed",
            "head",
            "iframe",
            "input",
            "link",
            "math",
            "meta",
            "noscript",
        ),
        *("object", "script", "select", "style", "svg", "template", "textarea", "title", "video", "-comment"),
    )
)
_AROUND = frozenset({"aside", "footer", "form", "nav"})
"""What stands around the main text on every page of a site."""
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "ol", "p"),
        *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_WITHIN = ("main, [role=main]", "article")
"""Where the main text is, where a page says so."""
_CHARSET = re.compile(rb"<meta[^>]{1,200}charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HEAD_BYTES = 4096
_BREAK = "\x1e"
"""Stands for the end of a line while a page's own line ends still are blanks."""
_SPACE = re.compile(r"[ \t\r\n\f]+")
_AUTHORS = ("author", "article:author", "dc.creator")


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The main text of a page, its title, and what its head says of author, description and language.

    Raises:
        InvalidRequest: it is no text, or shows none.
        Unsupported: the parser isn't installed.
    """
    said = _CHARSET.search(source[:_HEAD_BYTES])
    html, encoding = decoded(source, name, charset or (said[1].decode("ascii") if said is not None else None))
    lexbor = library("selectolax.lexbor", "selectolax", "reading HTML")
    tree = lexbor.LexborHTMLParser(whole_characters(html))
    metadata = {"encoding": encoding, **_head_of(tree)}
    title_node = tree.css_first("head > title")
    title = " ".join(title_node.text().split()) if title_node is not None else ""
    written = _Page(name).of(_main_of(tree), skipped=_AROUND)
    if not written.length and tree.body is not None:
        # Nothing but menus, or a page that is wrapped in a form.
        written = _Page(name).of(tree.body, skipped=frozenset())
    if not written.length:
        raise InvalidRequest(
            f"{name} shows no text: what it shows is made by scripts, or is pictures",
            hint="save the page as a browser shows it, or give its text",
            details={"name": name, "reason": "empty"},
        )
    sections = written.sections
    return Text(
        text=written.text,
        media_type=media_type,
        title=title or next((one.title for one in sections if one.level == 1), None),
        sections=sections,
        blocks=written.blocks,
        metadata=metadata,
    )


def _head_of(tree: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("meta[content]"):
        said = (node.attributes.get("name") or node.attributes.get("property") or "").lower()
        content = " ".join((node.attributes.get("content") or "").split())[:1000]
        if content and said in _AUTHORS:
            found.setdefault("author", content)
        elif content and said in ("description", "og:description"):
            found.setdefault("description", content)
    root = tree.css_first("html")
    language = (root.attributes.get("lang") or "") if root is not None else ""
    if language:
        found["language"] = language[:35]
    return found


def _main_of(tree: Any) -> Any:
    for selector in _WITHIN:
        nodes = tree.css(selector)
        if len(nodes) == 1:
            return nodes[0]
    return tree.body


class _Page:
    """What is written of a page; walks its tree without recursion, since a page may be nested as deep as it likes."""

    def __init__(self, name: str) -> None:
        self._written = Written(name)
        self._line: list[str] = []
        self._item = ""
        self._row: list[str] | None = None

    def of(self, root: Any, *, skipped: frozenset[str]) -> Written:
        """Writes what is below a node, which is None where a page has nothing."""
        if root is None:
            return self._written
        # Nodes are compared by their ids: `==` compares all that is below them.
        top, is_body, node = root.mem_id, root.tag == "body", root
        while True:
            tag = node.tag
            is_skipped = (
                tag in _UNSEEN
                or (tag in skipped and node.mem_id != top)
                or (tag == "header" and is_body and bool(skipped) and _is_of_site(node))
                or _is_hidden(node)
            )
            below = None if is_skipped else self._enter(node, tag)
            if below is not None:
                node = below
                continue
            while node.mem_id != top and node.next is None:
                node = node.parent
                self._leave(node.tag)
            if node.mem_id == top:
                break
            node = node.next
        self._end_block()
        return self._written

    def _enter(self, node: Any, tag: str) -> Any:
        """What is below it to be walked; None where it is done."""
        if tag == "-text":
            self._line.append((node.text_content or "").replace(_BREAK, " "))
        elif tag == "br":
            self._line.append(_BREAK)
        elif tag == "img":
            self._line.append(f" {node.attributes.get('alt') or ''} ")
        elif tag in _HEADINGS:
            self._end_block()
            self._written.heading(node.text(separator=" "), _HEADINGS[tag])
        elif tag == "pre":
            self._end_block()
            self._written.block(node.text().strip("\n"))
        elif tag == "tr":
            self._end_block()
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            self._end_cell()
        elif tag in _BLOCKS:
            self._end_block()
            if tag == "li":
                self._item = "- "
        if tag in _HEADINGS or tag == "pre":
            return None
        below = node.child
        if below is None:
            self._leave(tag)
        return below

    def _leave(self, tag: str) -> None:
        if tag == "tr" and self._row is not None:
            self._end_cell()
            row, self._row = " | ".join(cell for cell in self._row if cell), None
            self._written.block(row)
        elif tag in ("td", "th") and self._row is not None:
            self._end_cell()
        elif tag in _BLOCKS:
            self._end_block()

    def _end_cell(self) -> None:
        text = " ".join("".join(self._line).split())
        self._line.clear()
        if self._row is not None and text:
            self._row.append(text)

    def _end_block(self) -> None:
        if self._row is not None:
            # A block within a cell: the row goes on.
            self._line.append(" ")
            return
        lines = [_SPACE.sub(" ", line).strip() for line in "".join(self._line).split(_BREAK)]
        self._line.clear()
        text = "\n".join(line for line in lines if line)
        if text:
            self._written.block(self._item + text)
            self._item = ""


def _is_hidden(node: Any) -> bool:
    if node.tag.startswith("-"):
        return False
    attributes = node.attributes
    return "hidden" in attributes or attributes.get("aria-hidden") == "true"


def _is_of_site(node: Any) -> bool:
    """Whether a header is the page's own, and not that of an article in it."""
    above = node.parent
    while above is not None:
        if above.tag in ("article", "main", "section"):
            return False
        above = above.parent
    return True

"""web-scraper: a page's text, and what CSS selectors, links, images and meta data give of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, parameter
from llmspell_tools.web.markup import Page

_HTML = ("text/html", "application/xhtml+xml", "application/xml", "text/xml", "")


class Selector(BaseModel):
    """What to take of a page: the text of what `selector` finds, or an attribute; all of it, or the first."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    selector: str
    attribute: str | None = None
    multiple: bool = True


class Parameters(ToolParameters):
    """What `web-scraper` is called with."""

    input: str = parameter("the page's URL", also=("url",))
    selectors: dict[str, str | Selector] = parameter(
        "CSS selectors by name, or {selector, attribute?, multiple?}; the result has their finds by name", {}
    )
    selector: str | None = parameter("one CSS selector; the result has its finds as selected", None)
    extract_links: bool = parameter("give the links", False)
    extract_images: bool = parameter("give the images", False)
    extract_meta: bool = parameter("give the meta data", False)
    wait_for_js: bool = parameter("not done: scripts of pages are not run", False)
    timeout: float = parameter("seconds, up to tools.network.timeout_seconds", 30, gt=0)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A list of selectors has them as names."""
        selectors = given.get("selectors")
        if isinstance(selectors, list) and all(isinstance(one, str) for one in selectors):
            given["selectors"] = {one: one for one in selectors}
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Fetches the page and reads it."""
    if wanted.wait_for_js:
        raise Unsupported(
            "web-scraper runs no scripts of pages (wait_for_js): there is no browser in it",
            hint="leave wait_for_js out; a browser can be had by an MCP server",
        )
    answer = call.network.web("web_tools", domains_of="web_tools").request(
        "GET", wanted.input, headers={"Accept": "text/html, application/xhtml+xml, */*;q=0.5"}, time_s=wanted.timeout
    )
    place = answer.url.partition("?")[0]
    if answer.status >= 400:
        raise ToolFailure(f"{place} answered {answer.status} {answer.reason}".rstrip())
    html = answer.text()
    if answer.media_type not in _HTML or html is None:
        raise ToolFailure(f"{place} is no page of HTML but {answer.media_type or 'bytes of an unknown kind'}")
    page = Page(html, answer.url)
    result: dict[str, Any] = {"url": answer.url, "status_code": answer.status, "title": page.title, "text": page.text}
    if wanted.selectors:
        result["data"] = {name: _found(page, name, one) for name, one in wanted.selectors.items()}
    if wanted.selector is not None:
        result["selected"] = page.select(wanted.selector)
    if wanted.extract_links:
        result["links"] = page.links()
    if wanted.extract_images:
        result["images"] = page.images()
    if wanted.extract_meta:
        result["meta"] = page.meta
    return Outcome(
        operation="scrape",
        result=result,
        output=result.get("data", result.get("selected", result["text"])),
        message=f"{page.title or place}: {len(result['text']):,} characters",
        metadata={"url": answer.url, "duration_ms": answer.duration_ms, "redirects": list(answer.redirects)},
    )


def _found(page: Page, name: str, wanted: str | Selector) -> Any:
    one = Selector(selector=wanted) if isinstance(wanted, str) else wanted
    try:
        found = page.select(one.selector, one.attribute)
    except InvalidRequest as error:
        raise InvalidRequest(f"selectors.{name}: {error.message}") from None
    if one.multiple:
        return found
    return found[0] if found else None


TOOL = Tool(
    name="web-scraper",
    description="Reads a web page: its text, and what CSS selectors find in it. Scripts of the page are not run.",
    category="data",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("web_tools", "http_request", "network"),
    result=(
        "{url, status_code, title, text, data? {NAME: [text]}, selected? [text], links? [{url, text}], "
        "images? [{url, alt}], meta? {NAME: text}}"
    ),
    keywords=("scrape", "web", "html", "page", "css", "selector", "extract", "links"),
)

"""What a page of HTML says, without its markup."""

from __future__ import annotations


def text_of_page(text: str) -> str:
    """What a page shows as text: tags, comments, scripts and styles are left out."""
    from html.parser import HTMLParser

    class Shown(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.texts: list[str] = []
            self.hidden = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.hidden += tag in ("script", "style")

        def handle_endtag(self, tag: str) -> None:
            self.hidden = max(0, self.hidden - (tag in ("script", "style")))

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                self.texts.append(data)

    shown = Shown()
    shown.feed(text)
    shown.close()
    return "".join(shown.texts)

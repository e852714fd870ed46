"""What a server answered: status, headers, and a body as bytes, text or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


@dataclass(kw_only=True)
class Answer:
    """One answer. `url` is where it came from in the end, `redirects` the URLs that led there."""

    method: str
    url: str
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    """Names in lower case; one may stand there several times."""
    content: bytes
    redirects: Sequence[str] = ()
    attempts: int = 1
    duration_ms: float = 0.0

    def header(self, name: str) -> str | None:
        """The first header of this name, in lower case."""
        return next((value for one, value in self.headers if one == name), None)

    @property
    def header_map(self) -> Mapping[str, str]:
        """Headers by name; several of one name are one text, with commas between."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    @property
    def media_type(self) -> str:
        """Such as `text/html`; empty where the server doesn't say."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the server says that it is JSON."""
        return self.media_type in ("application/json", "text/json") or self.media_type.endswith("+json")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        try:
            return json.loads(self.content)
        except RecursionError:
            raise ValueError("it is nested too deep") from None

    @property
    def retry_after_s(self) -> float | None:
        """How long the server asks to wait."""
        asked = self.header("retry-after") or ""
        return float(asked) if re.fullmatch(r"[0-9]{1,6}", asked) else None

    def text(self) -> str | None:
        """The body as text; None where it is something else."""
        for encoding in self._named_encodings():
            try:
                return self.content.decode(encoding, "replace")
            except LookupError:
                continue
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        if not self.media_type.startswith("text/") and b"\0" in self.content:
            return None
        # Only for texts that say nothing of their encoding.
        from charset_normalizer import from_bytes

        guessed = from_bytes(self.content[:100_000]).best()
        return None if guessed is None else self.content.decode(guessed.encoding, "replace")

    def _named_encodings(self) -> list[str]:
        found = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", self.header("content-type") or "", re.IGNORECASE)
        named = [found[1]] if found else []
        if "html" in self.media_type:
            meta = _META.search(self.content[:2048])
            named += [meta[1].decode("ascii")] if meta else []
        return [one for one in named if _is_text_encoding(one)]


def _is_text_encoding(name: str) -> bool:
    """Whether it is an encoding of text: Python also has some of bytes."""
    import codecs

    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except LookupError:
        return False

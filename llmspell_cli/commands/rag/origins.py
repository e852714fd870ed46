"""What `rag ingest` is given: paths and addresses, made so that the kernel understands them, or standard input.

A kernel reads files itself, so paths are its machine's, and whole: its directory is another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from llmspell_cli.invocation import working_directory
from llmspell_cli.session import Session
from llmspell_cli.terminal.input_text import stdin_text
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.user_home import expanded_user

STDIN = "-"

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_GLOB = re.compile(r"[*?\[]")


class Origins(NamedTuple):
    """Where documents come from: the words as typed, split by what they are."""

    paths: Sequence[str]
    urls: Sequence[str]
    stdin: bool

    @classmethod
    def of(cls, words: Sequence[str]) -> Origins:
        """What the words are.

        Raises:
            InvalidRequest: an address that can't be read, or standard input beside others.
        """
        addresses = {word: found["scheme"].lower() for word in words if (found := _ADDRESS.match(word)) is not None}
        for word, scheme in addresses.items():
            if scheme not in ("http", "https"):
                raise InvalidRequest(f"{word}: {scheme}:// can't be read", hint="a path, http:// or https://")
        if STDIN in words and len(words) > 1:
            raise InvalidRequest("- is one document, and stands alone", hint="llmspell rag ingest - --id ID < FILE")
        paths = [word for word in words if word not in addresses and word != STDIN]
        return cls(paths, list(addresses), STDIN in words)

    def whole_paths(self) -> list[str]:
        """The paths as the kernel can use them; links stay as they are."""
        return [whole(path) for path in self.paths]


def whole(path: str) -> str:
    """A path from the root on."""
    expanded = expanded_user(path, os.environ)
    return os.path.normpath(expanded if os.path.isabs(expanded) else os.path.join(working_directory(), expanded))


def explained(error: LlmspellError, opened: Session, path: str | None) -> LlmspellError:
    """A failure of a path, with what can be done about it from here."""
    if path is None or not isinstance(error, (NotFound, Forbidden)):
        return error
    # By an address alone a tunnel is not told from this machine.
    if opened.mode == "connected" and (os.path.lexists(path) or not opened.client.info.loopback):
        message = f"{error.message}: paths are those of the machine that kernel {opened.kernel} is on"
        hint = "a text from here: llmspell rag ingest - --id ID < FILE"
        return type(error)(message, hint=hint, details=error.details)
    if error.hint is None and _GLOB.search(path):
        error.hint = "patterns go with a directory: llmspell rag ingest . --include '*.md'"
    return error


def document_of_stdin(id: str | None, title: str | None) -> dict[str, Any]:
    """Standard input as a document.

    Raises:
        InvalidRequest: it is empty, or no text.
    """
    text = stdin_text()
    if not text.strip():
        raise InvalidRequest("standard input is empty; nothing was taken in", hint="llmspell rag ingest - < FILE")
    if "\0" in text:
        raise InvalidRequest(
            "standard input is not text", hint="other formats are read as files: llmspell rag ingest FILE"
        )
    return {"text": text, "id": id, "title": title}

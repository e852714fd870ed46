"""What the commands about sessions ask for: one `session_request`, or a session page by page.

And how a session is called in a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.output import Output


def ask_sessions(opened: Session, action: str, **fields: Any) -> Content:
    """The reply's content; fields that are None are left out. Raises what the kernel answers."""
    return document(opened.ask("session_request", {"action": action, **fields}))


class Shown:
    """A session, and its steps page by page; its artifacts are there behind the last step."""

    def __init__(self, opened: Session, session: str) -> None:
        self._opened = opened
        self._page = ask_sessions(opened, "show", session=session)
        self.session: Content = self._page["session"]

    @property
    def artifacts(self) -> Sequence[Content]:
        """What was stored in it."""
        found: Sequence[Content] = self._page["artifacts"]
        return found

    def steps(self) -> Iterator[Content]:
        """Its steps, once."""
        while True:
            yield from self._page["steps"]
            after = self._page["after"]
            if after is None:
                return
            self._page = ask_sessions(self._opened, "show", session=self.session["id"], after=after)

    def whole(self) -> Content:
        """All of it."""
        steps = list(self.steps())
        return {"session": self.session, "steps": steps, "artifacts": self.artifacts}


def short_id(id: str) -> str:
    """The beginning of an id, which commands take for it."""
    return id[:8]


def tell_how_to_record(output: Output, reply: Content) -> None:
    """Says beside an empty list why it may be empty."""
    if not reply["enabled"]:
        output.hint("chat --session NAME keeps a chat; config set runtime.sessions.enabled true records everything")
    elif reply["place"] == "memory":
        output.hint("sessions end with the kernel: runtime.sessions.storage_backend is memory, sqlite keeps them")

"""What the commands about sessions ask for: one `session_request`; and how a session is called in a line."""

from __future__ import annotations

from typing import Any

from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.output import Output


def ask_sessions(opened: Session, action: str, **fields: Any) -> Content:
    """The reply's content; fields that are None are left out. Raises what the kernel answers."""
    return document(opened.ask("session_request", {"action": action, **fields}))


def short_id(id: str) -> str:
    """The beginning of an id, which commands take for it."""
    return id[:8]


def tell_how_to_record(output: Output, reply: Content) -> None:
    """Says beside an empty list why it may be empty."""
    if not reply["enabled"]:
        output.hint("chat --session NAME keeps a chat; config set runtime.sessions.enabled true records everything")
    elif reply["place"] == "memory":
        output.hint("sessions end with the kernel: runtime.sessions.storage_backend is memory, sqlite keeps them")

"""The session that keeps a conversation: which one is meant, and what of an earlier one is taken up again.

Knows the kernel's session requests; not how a conversation is held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_cli.session import document
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, ModelNotFound, SessionNotFound
from llmspell_protocol.request_options import LONGEST_SESSION

if TYPE_CHECKING:
    from llmspell_cli.chat.conversation import Conversation
    from llmspell_cli.session import Content, Session

_LAST = 20
"""Chats among which one is looked for that can be gone on with."""
_HINT = "chat --session NAME keeps a chat; config set runtime.sessions.enabled true keeps all"

_HINT_IN_MEMORY = "sessions end with the kernel: config set runtime.sessions.storage_backend sqlite keeps them"


class Wanted(NamedTuple):
    """`--session NAME`, or `--continue`."""

    name: str | None
    goes_on: bool

    def __bool__(self) -> bool:
        return self.name is not None or self.goes_on

    def demand_one(self) -> None:
        """Raises `InvalidRequest` where both are given."""
        if self.name is not None and self.goes_on:
            raise InvalidRequest("--continue takes the last chat, --session one by its name", hint="drop one of them")
        if self.name is not None and (not self.name.strip() or len(self.name) > LONGEST_SESSION):
            raise InvalidRequest(
                f"a session's name has 1 to {LONGEST_SESSION} characters", hint="llmspell chat --session notes"
            )


class Kept(NamedTuple):
    """What was taken up: the session's name, where it is kept, how many messages there were, their model, and the
    later steps that can't be read."""

    name: str
    place: str
    messages: int
    model: str | None
    left_out: Sequence[str] = ()

    def told(self) -> str:
        """A line about it."""
        steps = f"step{'' if len(self.left_out) == 1 else 's'} {', '.join(self.left_out)}"
        left_out = f", without {steps}, which can't be read" if self.left_out else ""
        if not self.messages:
            return f"This chat is kept in session '{self.name}' ({home_path(self.place)}){left_out}"
        return f"Going on with session '{self.name}': {self.messages} messages{left_out}"

    def without_model(self, error: ModelNotFound) -> ModelNotFound:
        """The error where the model of then is gone."""
        also = f"{error.hint}; or " if error.hint else ""
        return ModelNotFound(
            f"session '{self.name}' was held with {self.model}: {error.message}",
            hint=f"{also}-m MODEL goes on with another model",
            details=error.details,
        )


def taken_up(opened: Session, conversation: Conversation, wanted: Wanted) -> Kept:
    """Has the conversation go on in the session that is wanted, with the messages in it; a new one begins empty.

    What the command line says (system prompt, options) stays before what the session had.

    Raises:
        SessionNotFound: `--continue`, and there is no chat.
        InvalidRequest: the name means several.
    """
    name = wanted.name if wanted.name is not None else _last_chat(opened)
    try:
        found = document(opened.ask("session_request", {"action": "conversation", "session": name}))
    except SessionNotFound:
        conversation.session = name
        place = document(opened.ask("session_request", {"action": "list", "limit": 1}))["file"]
        return Kept(name, place, 0, None)
    known = found["session"]
    conversation.session = known["id"]
    conversation.restore(
        [_message(one) for one in found["messages"]], system=found["system"], sampling=found["options"]
    )
    return Kept(known["name"], known["place"], len(found["messages"]), found["model"], found["left_out"])


def _last_chat(opened: Session) -> str:
    """The last one in which something was answered."""
    reply = document(opened.ask("session_request", {"action": "list", "kind": "chat", "limit": _LAST}))
    for one in reply["sessions"]:
        # A chat whose model was not found is none to go on with.
        found = document(opened.ask("session_request", {"action": "conversation", "session": one["id"]}))
        if any(message["role"] == "assistant" for message in found["messages"]):
            return str(one["id"])
    ends = reply["enabled"] and reply["place"] == "memory"
    raise SessionNotFound("there is no chat to go on with", hint=_HINT_IN_MEMORY if ends else _HINT)


def _message(message: Mapping[str, Any]) -> Content:
    """A message as the conversation keeps it."""
    kept = ("role", "tool_calls", "tool_call_id", "name")
    return {name: message[name] for name in kept if message.get(name)} | {"content": message.get("content") or ""}

"""Conversations on disk, by the agent's name: what outlives a script. Knows files and messages.

Clients with another key have conversations of their own.
A file an agent below `LLMSPELL_HOME/agents`, readable by its owner alone, replaced as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmspell_kernel.identity import CONNECTION_KEY
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.models import ChatMessage, ToolCall
from llmspell_storage.directories import private_directory

_VERSION = 1


class SavedConversations:
    """The saved conversations below a home; its methods block."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def save(self, name: str, conversation: Conversation, *, key_id: str) -> None:
        """Replaces what was saved under this name.

        Raises:
            ConfigError: the file can't be written.
        """
        content = {
            "version": _VERSION,
            "agent": name,
            "summary": conversation.summary,
            "messages": to_content(conversation.messages),
        }
        path = self._path(name, key_id)
        private_directory(path.parent)
        try:
            _write(path, content)
        except OSError as problem:
            raise ConfigError(
                f"the conversation of agent '{name}' can't be saved: {problem.strerror}",
                hint=f"make {path.parent} writable, and see that its disk has room",
                details={"file": str(path)},
            ) from None

    def load(self, name: str, *, key_id: str) -> Conversation | None:
        """What was saved under this name; None: nothing.

        Raises:
            ConfigError: the file is damaged, or of a later version.
        """
        path = self._path(name, key_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
            if content["version"] != _VERSION:
                raise ValueError("it is of another version")
            messages = [_message(one) for one in content["messages"]]
            return Conversation(messages, str(content["summary"]))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ConfigError(
                f"the saved conversation of agent '{name}' can't be read: {problem}",
                hint=f"remove {path}",
                details={"file": str(path)},
            ) from None

    def discard(self, name: str, *, key_id: str) -> bool:
        """Removes what was saved under this name; whether there was something."""
        try:
            self._path(name, key_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str, key_id: str) -> Path:
        """A name may be anything; its digest can be a file's."""
        whole = name if key_id == CONNECTION_KEY else f"{key_id}\0{name}"
        return self._home / "agents" / f"{hashlib.sha256(whole.encode(errors='surrogatepass')).hexdigest()[:32]}.json"


def _write(path: Path, content: Mapping[str, Any]) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)  # in ASCII: half a character that a model said has no other form
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _message(content: Mapping[str, Any]) -> ChatMessage:
    calls = tuple(ToolCall(**call) for call in content.get("tool_calls") or ())
    kept = {key: content.get(key) for key in ("role", "content", "tool_call_id", "name")}
    return ChatMessage(**kept, tool_calls=calls)  # type: ignore[arg-type]

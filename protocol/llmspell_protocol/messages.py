"""One Jupyter message: header, parent header, metadata, content and buffers. Knows neither bytes nor sockets.

The message types and fields of the base protocol are Jupyter's, version 5.5
(https://jupyter-client.readthedocs.io/en/stable/messaging.html); our own types are in `areas/`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from typing import Any

JUPYTER_VERSION = "5.5"
PROTOCOL_VERSION = "1.0"
"""Version of our own requests; a client that meets a newer major one says so and stops."""

METADATA_KEY = "llmspell"
"""Where a request's own options stand in its metadata (`request_options.py`)."""

ONE_WAY = frozenset({"comm_open", "comm_msg", "comm_close"})
"""Messages that nothing answers."""

Content = dict[str, Any]


class Message:
    """A message as it is sent or as it came; `identities` are the routing frames before the delimiter.

    `problem` says why a message that came has nothing but its header, where that is so.
    """

    __slots__ = ("buffers", "content", "encoding", "header", "identities", "metadata", "parent_header", "problem")

    def __init__(
        self,
        header: dict[str, Any],
        content: Content,
        *,
        parent_header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: list[bytes] | None = None,
        identities: list[bytes] | None = None,
        encoding: str = "json",
        problem: str = "",
    ) -> None:
        self.problem = problem
        self.header = header
        self.content = content
        self.parent_header = parent_header or {}
        self.metadata = metadata or {}
        self.buffers = buffers or []
        self.identities = identities or []
        self.encoding = encoding

    @property
    def msg_id(self) -> str:
        """The message's own id."""
        return str(self.header["msg_id"])

    @property
    def msg_type(self) -> str:
        """What kind of message it is, such as `execute_request`."""
        return str(self.header["msg_type"])

    @property
    def parent_id(self) -> str | None:
        """The id of the request that this message answers; None where it answers none."""
        value = self.parent_header.get("msg_id")
        return value if isinstance(value, str) else None

    @property
    def options(self) -> Any:
        """A request's options as they came in `metadata.llmspell`, unchecked; an empty map where there are none."""
        value = self.metadata.get(METADATA_KEY)
        return {} if value is None else value

    def __repr__(self) -> str:
        return f"<Message {self.header.get('msg_type')} {self.header.get('msg_id')}>"


class HeaderFactory:
    """Headers of one session: ids that are unique in the world, made by counting within the session."""

    def __init__(self, username: str = "llmspell") -> None:
        self.session = os.urandom(16).hex()
        self.username = username
        self._count = count()

    def __call__(self, msg_type: str) -> dict[str, Any]:
        """A new header for a message of this type, dated now."""
        return {
            "msg_id": f"{self.session}_{next(self._count)}",
            "session": self.session,
            "username": self.username,
            "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "msg_type": msg_type,
            "version": JUPYTER_VERSION,
        }


def area_of(msg_type: str) -> str:
    """`model` for `model_request`: what stands before the last underscore."""
    return msg_type.rpartition("_")[0]

"""A sink that keeps what a handler sends, in order."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_kernel.request import Content


class RecordingSink:
    """Everything sent, as (kind, content)."""

    def __init__(self, line: str | None = None) -> None:
        self.sent: list[tuple[str, Content]] = []
        self._line = line

    def progress(self, content: Content) -> None:
        """Keeps a progress."""
        self.sent.append(("progress", content))

    def delta(self, content: Content) -> None:
        """Keeps a delta."""
        self.sent.append(("delta", content))

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Keeps the reply."""
        self.sent.append(("reply", content))

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Keeps what would go to IOPub."""
        self.sent.append((msg_type, content))

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """The line that the test prepared."""
        return self._line

"""The requests that steps are: parts of the request that runs the workflow."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_kernel.request import Content, Request


class StepSink:
    """What a step would tell by itself is not sent: the workflow tells of its steps. Its questions are the whole's."""

    def __init__(self, whole: Request) -> None:
        self._whole = whole

    def progress(self, content: Content) -> None:
        """Is not sent."""

    def delta(self, content: Content) -> None:
        """Is not sent."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Is not sent: steps return what they have."""

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Publishes as the whole does."""
        self._whole.sink.publish(msg_type, content, metadata, buffers)

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Asks as the whole does."""
        return await self._whole.sink.ask(prompt, password=password)

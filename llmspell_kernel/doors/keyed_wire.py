"""Messages checked and signed with the key of the client that they come from or go to."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_kernel.identity import KeyRing
from llmspell_protocol.messages import Message
from llmspell_protocol.wire import Wire


class KeyedWire:
    """A `Wire` for each key of a ring, made when the key is first used. Refuses replays."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._wires: dict[bytes, Wire] = {}

    def pack(self, message: Message) -> list[bytes]:
        """All frames of a message to the client that its first identity names."""
        return self._of(message.identities[0]).pack(message)

    def unpack(self, frames: Sequence[bytes]) -> Message:
        """The message in the frames, the first of which is the sender's routing id.

        Raises:
            WireError: it must be dropped; another key's signature is one of the reasons.
        """
        return self._of(frames[0]).unpack(frames)

    def _of(self, route: bytes) -> Wire:
        secret = self._ring.of_route(route).secret
        wire = self._wires.get(secret)
        if wire is None:
            wire = self._wires[secret] = Wire(secret, requests=True)
        return wire

"""A worker that writes tokens to its pipe as a model worker does, as fast as it can, and ends."""

from __future__ import annotations

import sys

from llmspell_protocol.child import connect_parent
from llmspell_providers.candle.stream import Flusher, PipeReply


def main() -> None:
    """The process; its argument is the number of tokens."""
    reply = PipeReply(connect_parent(), 1, 0, Flusher())
    for _ in range(int(sys.argv[1])):
        reply.text(" token")


if __name__ == "__main__":
    main()

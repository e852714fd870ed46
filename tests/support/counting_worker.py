"""A worker for tests of calls: it counts, asks, holds, fails, says something unasked and dies, as it is told."""

from __future__ import annotations

import os

from llmspell_protocol.child import connect_parent
from llmspell_protocol.frames import Frame, FramePipe


def main() -> None:
    """Serves the kernel's frames until the pipe closes."""
    pipe = connect_parent()
    try:
        while True:
            frame = pipe.receive()
            assert frame is not None
            _serve(pipe, frame)
    except EOFError:
        pass


def _serve(pipe: FramePipe, frame: Frame) -> None:
    number = frame["id"]
    match frame["op"]:
        case "count":
            for step in range(frame["to"]):
                pipe.send({"op": "delta", "id": number, "text": f"{step} "})
            pipe.send({"op": "done", "id": number, "counted": frame["to"]})
        case "wonder":
            pipe.send({"op": "ask", "id": number, "what": frame["what"]})
        case "answer":
            pipe.send({"op": "done", "id": number, "heard": frame["said"]})
        case "cancel":
            pipe.send({"op": "error", "id": number, "why": "cancelled"})
        case "say":
            pipe.send({"op": "said", "id": number, "words": frame["words"]})
            pipe.send({"op": "done", "id": number})
        case "babble":
            pipe.send(frame["frame"])
            pipe.send({"op": "done", "id": number})
        case "die":
            os._exit(frame["status"])
        case "hold":
            pipe.send({"op": "progress", "id": number})


if __name__ == "__main__":
    main()

"""A model worker without a model: it answers, dies, grows and goes deaf as a chat's text, or the model's name, says.

Orders are separated by `|`: `say WORDS` (to the log), `signal N`, `exit N`, `hold` (answers nothing, cancels
included), `grow` (takes memory until it gets no more, and says so), `touch MB` (takes so much and holds), `garbage`
(bytes that are no frame) and `odd` (a frame without an op). Anything else is answered by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import OutOfMemory
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_providers.candle.engine import LoadedState

LOADED = LoadedState(
    engine="wayward",
    engine_version="1",
    device="cpu",
    slots=4,
    context_size=512,
    threads=1,
    stream_window_ms=0,
    memory_bytes=50_000_000,
    load_ms=1.0,
    speculation="off",
    chat_template=True,
    tools=False,
)
_HELD: list[bytearray] = []


def main() -> None:
    """Loads at once, unless the model's name is an order, and serves until the pipe closes."""
    pipe = connect_parent()
    try:
        frame = pipe.receive()
        assert frame is not None
        _obey(pipe, frame, frame["launch"]["model"])
        pipe.send({"op": "done", "id": frame["id"], **to_content(LOADED)})
        while True:
            frame = pipe.receive()
            assert frame is not None
            if frame["op"] == "chat":
                text = frame["request"]["messages"][-1]["content"]
                threading.Thread(target=_chat, args=(pipe, frame, text), daemon=True).start()
    except EOFError:
        os._exit(0)


def _chat(pipe: FramePipe, frame: Frame, text: str) -> None:
    pipe.send({"op": "delta", "id": frame["id"], "text": "begun"})
    if _obey(pipe, frame, text):
        pipe.send({"op": "done", "id": frame["id"], **_outcome(text)})


def _outcome(text: str) -> dict[str, Any]:
    return {
        "message": {"role": "assistant", "content": text, "reasoning": None, "tool_calls": []},
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1},
        "timings": {"prefill_ms": 1.0, "decode_ms": 1.0, "tokens_per_second": None},
    }


def _obey(pipe: FramePipe, frame: Frame, orders: str) -> bool:
    """Whether the request is to be answered."""
    for order in orders.split("|"):
        word, _, rest = order.partition(" ")
        match word:
            case "say":
                print(rest, file=sys.stderr, flush=True)
            case "signal":
                os.kill(os.getpid(), int(rest))
                threading.Event().wait()
            case "exit":
                os._exit(int(rest))
            case "hold":
                threading.Event().wait()
            case "grow":
                try:
                    while True:
                        _HELD.append(bytearray(16 << 20))
                except MemoryError:
                    error = OutOfMemory("the worker got no more memory: MemoryError").to_content()
                pipe.send({"op": "error", "id": frame["id"], "error": error})
                return False
            case "touch":
                _HELD.append(bytearray(b"\1") * (int(rest) << 20))
                threading.Event().wait()
            case "garbage":
                os.write(pipe._write_fd, b"\xff" * 64)
                threading.Event().wait()
            case "odd":
                pipe.send({"id": frame["id"]})
                threading.Event().wait()
    return True


if __name__ == "__main__":
    for ignored in (signal.SIGABRT, signal.SIGQUIT):  # by what may have started these tests: a shell's background job
        signal.signal(ignored, signal.SIG_DFL)
    main()

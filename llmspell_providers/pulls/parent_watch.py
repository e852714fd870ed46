"""What a worker of pulls does about its parent: it ends with it, and so does what it has started."""

from __future__ import annotations

import os
import signal
import threading

from llmspell_protocol.frames import FramePipe


def end_with_parent(pipe: FramePipe) -> None:
    """Watches the pipe on a thread; when the parent closes it, the whole group ends, pip included.

    What is on disk by then can be resumed at any byte.
    """
    threading.Thread(target=_watch, args=(pipe,), daemon=True).start()


def _watch(pipe: FramePipe) -> None:
    try:
        while pipe.receive() is not None:
            pass
    except EOFError:
        os.killpg(0, signal.SIGKILL)

"""The collections worker for tests: a real process, asked by records, one call at a time or several."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmspell_protocol.child import spawn
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import error_from_content
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Chunk, Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings

PLACE = Place(owner="key")
DEADLINE_S = 120.0


class RagWorker:
    """A process of `llmspell_rag.worker` with a database open."""

    def __init__(
        self,
        path: Path | None,
        settings: IndexSettings | None = None,
        *,
        memory_bytes: int | None = None,
        log_path: Path | None = None,
    ) -> None:
        self._spawned = spawn(ops.WORKER, environment={}, log_path=log_path, memory_bytes=memory_bytes)
        self._pipe = FramePipe(self._spawned.read_fd, self._spawned.write_fd)
        self._next_id = 0
        self._ended: dict[int, Frame] = {}
        self.progress: deque[Frame] = deque()
        try:
            self.ask("open", path=None if path is None else str(path), settings=settings or IndexSettings())
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._spawned.process.pid

    def send(self, op: str, **fields: Any) -> int:
        """Sends a call and returns its id."""
        number, self._next_id = self._next_id, self._next_id + 1
        self._pipe.send({"op": op, "id": number, **to_content(ops.OPS[op].request(**fields))})
        return number

    def cancel(self, number: int) -> None:
        """Asks for a call to end early."""
        self._pipe.send({"op": "cancel", "id": number})

    def answer(self, op: str, number: int) -> Any:
        """The reply to a call that was sent; raises the error that came instead, `EOFError` where the process ended."""
        while number not in self._ended:
            frame = self._pipe.receive(DEADLINE_S)
            assert frame is not None, "the worker does not answer"
            if frame["op"] == "progress":
                self.progress.append(frame)
            else:
                self._ended[frame["id"]] = frame
        frame = self._ended.pop(number)
        if frame["op"] == "error":
            raise error_from_content(frame["error"])
        return ops.OPS[op].reply.from_content(frame)

    def ask(self, op: str, **fields: Any) -> Any:
        """The reply to a call."""
        return self.answer(op, self.send(op, **fields))

    def write(
        self,
        document: Document,
        texts: Sequence[str],
        vectors: bytes,
        *,
        place: Place = PLACE,
        model: str = "mock:embed",
        write: int = 1,
    ) -> Any:
        """Writes a document with a chunk for each text."""
        dimension = len(vectors) // 4 // max(1, len(texts)) or 1
        self.ask("begin", place=place, write=write, model=model, dimension=dimension, document=document)
        self.ask("add", write=write, chunks=chunks(texts), vectors=vectors)
        return self.ask("commit", write=write)

    def close(self) -> int:
        """Closes the pipe, as a kernel that ends; returns the exit status."""
        os.close(self._spawned.write_fd)
        status = self._spawned.process.wait(DEADLINE_S)
        os.close(self._spawned.read_fd)
        return status

    def kill(self) -> None:
        """Ends it at once (SIGKILL)."""
        self._spawned.process.send_signal(signal.SIGKILL)
        self._spawned.process.wait(DEADLINE_S)
        os.close(self._spawned.write_fd)
        os.close(self._spawned.read_fd)

    def __enter__(self) -> RagWorker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spawned.process.poll() is None:
            self.close()


def chunks(texts: Sequence[str]) -> list[Chunk]:
    """A chunk for each text, as if they followed each other with a space between."""
    made, at = [], 0
    for ordinal, text in enumerate(texts):
        made.append(Chunk(ordinal=ordinal, text=text, start=at, end=at + len(text), tokens=len(text.split())))
        at += len(text) + 1
    return made

"""The process that reads documents and cuts them: `python -m llmspell_rag.reading_worker`. One call at a time; the
kernel ends it to stop one.

Frames, whose fields are those of the records in `llmspell_protocol.rag`:
- `read`, a `Read`, reads one document. Its answers: `progress {stage: "cutting", total_characters}` once it is read,
  `chunks {chunks, done_characters, total_characters}` with some `Chunk`s, and last `done` with `Facts`, or `Unchanged`.
- `walk`, a `Walk`, looks for documents. Its answers: `files {files, skipped}` with some of `Found` and `Skipped`, and
  last `done {files, skipped}`, the numbers of them.
- `ask {what, texts}` is a question that a `read` waits with: `what` is `count` or `embed`. `answer {values}` has a
  number for each text, or each vector's bytes: little-endian 32-bit floats of length 1.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Cancelled, InvalidRequest, LlmspellError, OutOfMemory
from llmspell_protocol.frames import Frame, FramePipe, FrameTooLarge
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.orphans import end_left_behind, go_on_guarded
from llmspell_protocol.rag.reading import Found, Read, Unchanged, Walk
from llmspell_protocol.worker_memory import is_for_want_of_memory
from llmspell_rag.chunking.contract import Measures

_FRAME_CHUNKS = 64
_FRAME_CHARACTERS = 1 << 18
_FRAME_FILES = 256


def main() -> None:
    """Answers one frame after the other until the parent closes the pipe."""
    pipe = connect_parent()
    go_on_guarded()
    # Here, while the kernel still prepares the first call.
    import llmspell_rag.chunking.cutting
    import llmspell_rag.documents.reading
    import llmspell_rag.sources  # noqa: F401

    try:
        while True:
            frame = pipe.receive()
            # What still comes for a call that is over: its cancel.
            if frame is not None and frame["op"] in _OPS:
                _answer(pipe, frame)
    except (EOFError, BrokenPipeError):
        pass  # The kernel has ended.
    end_left_behind()


def _answer(pipe: FramePipe, frame: Frame) -> None:
    """Does what the frame asks for."""
    last: dict[str, Any] = {"op": "error", "id": frame["id"]}
    try:
        last |= {"op": "done", **_OPS[frame["op"]](pipe, frame)}
    except (BrokenPipeError, EOFError):
        raise
    except LlmspellError as error:
        last["error"] = error.to_content()
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        what = frame.get("name") or frame["op"]
        if is_for_want_of_memory(error):
            last["error"] = _too_large(str(what)).to_content()
        elif isinstance(error, RecursionError):
            last["error"] = InvalidRequest(f"{what} is nested too deep").to_content()
        else:
            text = f"'{what}' could not be read: {type(error).__name__}: {error}"
            last["error"] = incident_in_worker(error, text).to_content()
    try:
        pipe.send(last)
    except FrameTooLarge:
        problem = InvalidRequest(f"{frame.get('name')} says more of itself than can be kept")
        pipe.send({"op": "error", "id": frame["id"], "error": problem.to_content()})


def _read(pipe: FramePipe, frame: Frame) -> Mapping[str, Any]:
    from llmspell_rag.chunking.cutting import chunk
    from llmspell_rag.documents.reading import read
    from llmspell_rag.sources import facts_of, hash_of, source_of

    wanted = Read.from_content(frame)
    data = source_of(wanted)
    size, digest = len(data), hash_of(data, wanted)
    if digest == wanted.known:
        unchanged: Mapping[str, Any] = to_content(Unchanged(hash=digest, bytes=size))
        return unchanged
    document = read(data, wanted.name, wanted.media_type)
    del data
    total = len(document.text)
    pipe.send({"op": "progress", "id": frame["id"], "stage": "cutting", "total_characters": total})
    sending = _Sending(pipe, frame["id"], total)
    measures = _Asking(pipe, frame["id"], wanted.limit)
    for one in chunk(document, wanted.chunking, measures):
        sending.add(to_content(one))
    sending.send()
    told: Mapping[str, Any] = to_content(
        facts_of(document, wanted, digest=digest, size=size, chunks=sending.count, tokens=sending.tokens)
    )
    return told


def _walk(pipe: FramePipe, frame: Frame) -> Mapping[str, Any]:
    from llmspell_rag.sources import found_below

    files: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    counts = {"files": 0, "skipped": 0}

    def send() -> None:
        counts["files"] += len(files)
        counts["skipped"] += len(skipped)
        pipe.send({"op": "files", "id": frame["id"], "files": files, "skipped": skipped})
        files.clear()
        skipped.clear()

    for one in found_below(Walk.from_content(frame)):
        (files if isinstance(one, Found) else skipped).append(to_content(one))
        if len(files) + len(skipped) == _FRAME_FILES:
            send()
    if files or skipped:
        send()
    return counts


_OPS: Mapping[str, Callable[[FramePipe, Frame], Mapping[str, Any]]] = {"read": _read, "walk": _walk}


class _Sending:
    """Puts chunks into frames that are neither many nor large."""

    def __init__(self, pipe: FramePipe, number: int, total: int) -> None:
        self._pipe = pipe
        self._number = number
        self._total = total
        self._waiting: list[dict[str, Any]] = []
        self._characters = 0
        self.count = 0
        self.tokens = 0

    def add(self, chunk: dict[str, Any]) -> None:
        """Takes a chunk, and sends those that wait where they are enough."""
        self._waiting.append(chunk)
        self._characters += len(chunk["text"])
        self.count += 1
        self.tokens += chunk["tokens"]
        if len(self._waiting) == _FRAME_CHUNKS or self._characters >= _FRAME_CHARACTERS:
            self.send()

    def send(self) -> None:
        """Sends the chunks that wait."""
        if not self._waiting:
            return
        done = {"done_characters": self._waiting[-1]["end"], "total_characters": self._total}
        self._pipe.send({"op": "chunks", "id": self._number, "chunks": self._waiting, **done})
        self._waiting, self._characters = [], 0


class _Asking(Measures):
    """What the kernel says of texts: it has the embedding model."""

    def __init__(self, pipe: FramePipe, number: int, limit: int) -> None:
        self._pipe = pipe
        self._number = number
        self._limit = limit

    @property
    def limit(self) -> int:
        return self._limit

    def count(self, texts: Sequence[str]) -> Sequence[int]:
        return [int(value) for value in self._ask("count", texts)]

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors = []
        for value in self._ask("embed", texts):
            vector = array("f")
            vector.frombytes(value)
            if sys.byteorder == "big":
                vector.byteswap()
            vectors.append(vector)
        return vectors

    def _ask(self, what: str, texts: Sequence[str]) -> Sequence[Any]:
        self._pipe.send({"op": "ask", "id": self._number, "what": what, "texts": list(texts)})
        while True:
            frame = self._pipe.receive()
            if frame is None or frame.get("id") != self._number:
                continue
            if frame["op"] == "cancel":
                raise Cancelled("the document is not wanted any more")
            if frame["op"] == "answer":
                values: Sequence[Any] = frame["values"]
                if len(values) != len(texts):
                    raise ValueError(f"{len(values)} values came for {len(texts)} texts")
                return values


def _too_large(what: str) -> OutOfMemory:
    # As much as the process was given; only this needs it.
    import resource

    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return OutOfMemory(
        f"'{what}' took more memory than reading may ({limit / 1e6:,.0f} MB)",
        hint="divide the document",
        details={"limit_bytes": limit},
    )


if __name__ == "__main__":
    main()

"""The kernel's side of one model worker: start, ask, end. Knows frames, not residency or queues."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelLoadFailed, OutOfMemory, error_from_content
from llmspell_protocol.frames import MAX_FRAME_BYTES, Frame, FrameTooLarge
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    Embeddings,
    PrefillProgress,
    Timings,
    ToolCall,
    Usage,
)
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.candle import watch
from llmspell_providers.candle.engine import Launch, LoadedState
from llmspell_providers.candle.socket_directory import SocketDirectory
from llmspell_providers.candle.watch import Fault, Watch
from llmspell_providers.candle.worker_end import crash, ended_for, out_of_memory, refused, unasked_end
from llmspell_providers.candle.worker_log import WorkerLog, size_of

__all__ = ["Launch", "LoadedState", "ModelProcess"]

BACKEND = "candle"
_WORKER = "llmspell_providers.candle.worker"
_EMBED_TEXTS_A_FRAME = 256
"""Keeps a frame of vectors far below the frame limit (256 × 8,192 dimensions are 8 MiB)."""
_COUNTED_CHARACTERS_A_FRAME = 4 << 20
"""Of four bytes each at most: a quarter of what a frame takes."""
_CARDS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Which graphics cards this user may use, as schedulers of clusters say it."""
_NO_HUB = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # The tokenizer's own threads would compete with PyTorch's, and it warns of forks that never happen.
    "TOKENIZERS_PARALLELISM": "false",
}
"""A model that is loaded is complete on disk: no server is asked for more of it."""
_NO_DEBUGGER = {"GGML_NO_BACKTRACE": "1"}
"""An engine that gives up would start a debugger on itself, whose lines bury why it did."""
STOP_WITHIN_S = {"chat": 30.0, "tokenize": 30.0, "count_tokens": 30.0, "embed": 300.0, "rerank": 300.0}
"""How long a request that no caller waits for may go on: an engine looks between two steps, and one step of a large
model on a slow processor takes seconds; texts to be embedded are one step each. A chat template may go on for ever."""
_PATIENCE = 10
"""A worker that others still use is not ended for such a request before this many times of that."""

_Ended = Literal[Fault, "no_memory", "deaf"]
_ENDED: Mapping[_Ended, str] = {
    "too_large": "it has grown beyond its limit",
    "silent": "it reads nothing any more and its load does not come to an end",
    "no_memory": "a request in it needed more memory than it may take",
    "deaf": "a request in it did not stop when it was cancelled",
}

_log = logging.getLogger(__name__)


class ModelProcess:
    """A worker process with one loaded model; all methods belong to the loop that started it."""

    loaded: LoadedState

    def __init__(self, launch: Launch, on_exit: Callable[[], None]) -> None:
        self.launch = launch
        self._on_exit = on_exit
        self.draft_tokens = self.accepted_tokens = 0
        self._log_at_end: Sequence[str] = ()
        self._is_loaded = False
        self._ended: _Ended | None = None
        self._open_at_end = 0
        self._stop_timers: set[asyncio.TimerHandle] = set()
        self._is_ending = False
        self._log = WorkerLog(launch.log_path)
        self._sockets = SocketDirectory()
        try:
            child = Child.spawn(
                _WORKER,
                environment=_environment(launch),
                log_path=launch.log_path,
                memory_bytes=launch.memory_bytes,
            )
        except BaseException:
            self._sockets.remove()
            raise
        self._child = child
        self._calls = Calls(child, on_exit=self._exited)
        self._watched: Sequence[int] = (child.pid,)
        limit = launch.memory_bytes
        self._watch = Watch(
            lambda: self._watched,
            # Beside its own memory a worker maps its files.
            limit_bytes=None if limit is None else limit + size_of(launch.path),
            found=self._end_for,
        )

    @classmethod
    async def start(cls, launch: Launch, *, on_exit: Callable[[], None]) -> ModelProcess:
        """Starts a worker and loads the model; cancelling ends the worker.

        `on_exit` is called once when a worker that was loaded has ended, for whatever reason.

        Raises:
            ModelLoadFailed: the file is no model that the engine can load, or it was not done by the launch's deadline.
            OutOfMemory: the system has not enough memory for it.
            WorkerCrashed: the worker died while loading.
            ConfigError: the engine is not installed, or the device cannot be had.
        """
        process = cls(launch, on_exit)
        try:
            await process._load()
        except BaseException as error:
            process._is_ending = True
            process._child.kill()
            await asyncio.shield(process._child.exited)
            if isinstance(error, ModelLoadFailed):
                raise refused(error, launch, process._log.tail()) from error
            raise
        return process

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    @property
    def pids(self) -> Sequence[int]:
        """The worker's process id, and those of the processes that its engine runs beside it."""
        return self._watched

    @property
    def speculates(self) -> bool:
        """Whether its engine drafts; `draft_tokens` and `accepted_tokens` count those of all replies so far."""
        return self.loaded.speculation != "off"

    @property
    def busy(self) -> int:
        """Requests that the worker has not finished, those being cancelled included."""
        return len(self._calls)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk has the result, without queue_ms, load_ms and first_token_ms.

        Close the iterator (`contextlib.aclosing`) to cancel. The request's options are resolved by the caller.
        """
        call = self._open("chat", request=to_content(request))
        try:
            while True:
                frame = await call.next()
                if frame["op"] in ("error", EXITED):
                    raise await self._failure(frame)
                chunk = self._chunk(frame)
                yield chunk
                if chunk.result is not None:
                    return
        finally:
            self._leave(call, "chat")

    async def embed(self, texts: Sequence[str], *, normalize: bool) -> Embeddings:
        """One vector a text."""
        data: list[bytes] = []
        dimensions = prompt_tokens = 0
        for start in range(0, len(texts), _EMBED_TEXTS_A_FRAME):
            part = list(texts[start : start + _EMBED_TEXTS_A_FRAME])
            frame = await self._answer("embed", texts=part, normalize=normalize)
            data.append(frame["data"])
            dimensions = frame["dimensions"]
            prompt_tokens += frame["prompt_tokens"]
        return Embeddings(
            data=b"".join(data),
            count=len(texts),
            dimensions=dimensions,
            usage=Usage(prompt_tokens=prompt_tokens),
            model=self.launch.model,
            backend=BACKEND,
        )

    async def tokenize(self, text: str) -> list[int]:
        """The token ids of a text."""
        tokens: list[int] = (await self._answer("tokenize", text=text))["tokens"]
        return tokens

    async def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Tokens of each text, and how many the model adds to one that it embeds."""
        counts: list[int] = []
        added = 0
        for part in _parts(texts):
            frame = await self._answer("count_tokens", texts=part)
            counts += frame["counts"]
            added = frame["added"]
        return TokenCounts(counts=counts, added=added)

    async def rerank(self, query: str, texts: Sequence[str]) -> Scores:
        """A score a text."""
        frame = await self._answer("rerank", query=query, texts=list(texts))
        return Scores(
            scores=tuple(frame["scores"]),
            usage=Usage(prompt_tokens=frame["prompt_tokens"]),
            model=self.launch.model,
            backend=BACKEND,
        )

    async def stats(self) -> dict[str, Any]:
        """`memory_bytes` (resident, mapped weights included), `busy_slots`, `slots`, `requests`."""
        frame = await self._answer("stats")
        return {name: frame[name] for name in ("memory_bytes", "busy_slots", "slots", "requests")}

    async def trim(self) -> None:
        """Has the engine let go of what it keeps for later turns alone, and gives that memory back to the system."""
        await self._answer("trim")

    async def end(self, grace_s: float = 2.0) -> None:
        """Ends the worker; open requests end with `WorkerCrashed` unless they were closed before."""
        self._is_ending = True
        self._forget_timers()
        await self._child.end(grace_s)

    async def _load(self) -> None:
        server = self.launch.server_path
        paths = {"path": str(self.launch.path), "server_path": str(server) if server else None, "log_path": None}
        launch = {**to_content(self.launch), **paths}
        deadline_s, log_path = self.launch.load_deadline_s, self.launch.log_path
        try:
            self._watch.load_begins()
            async with asyncio.timeout(deadline_s):
                frame = await self._answer("load", launch=launch, socket_directory=str(self._sockets.path))
        except TimeoutError:
            raise ModelLoadFailed(
                f"{self.launch.engine} has not loaded '{self.launch.path.name}' after {deadline_s:.0f} s",
                hint=f"what it waits for may be in {log_path}" if log_path is not None else None,
            ) from None
        finally:
            self._watch.load_ends()
        self.loaded = LoadedState(**{name: frame[name] for name in LoadedState.__dataclass_fields__})
        self._watched = (self.pid, *self.loaded.engine_pids)
        self._is_loaded = True

    async def _answer(self, op: str, **fields: Any) -> Frame:
        call = self._open(op, **fields)
        try:
            while (frame := await call.next())["op"] in ("progress", "delta"):
                if "device" in frame:
                    self._begun_on(frame)
        finally:
            self._leave(call, op)
        if frame["op"] != "done":
            raise await self._failure(frame)
        return frame

    def _begun_on(self, frame: Frame) -> None:
        """A load's word: what it runs on, and the processes that it has started for that."""
        self._watched = (self.pid, *frame["engine_pids"])
        if frame["device"] != "cpu":
            self._watch.load_ends()

    def _open(self, op: str, **fields: Any) -> Call:
        try:
            call = self._calls.open(op, **fields)
        except FrameTooLarge:
            raise InvalidRequest(
                f"the request is larger than the {MAX_FRAME_BYTES} bytes that a model's process takes at a time",
                hint="say less in one request",
                details={"limit_bytes": MAX_FRAME_BYTES},
            ) from None
        self._watch.begin()
        return call

    def _leave(self, call: Call, op: str) -> None:
        """Ends a call; one that the worker does not end when it is told to is the worker's own end."""
        call.leave()
        self._watch.end()
        if call.done or op not in STOP_WITHIN_S or not self._child.alive:
            return
        self._give_time(call, STOP_WITHIN_S[op], _PATIENCE)

    def _give_time(self, call: Call, seconds: float, times: int) -> None:
        def over() -> None:
            self._stop_timers.discard(timer)
            if call.done or not self._child.alive:
                return
            if times > 1 and self._calls.wanted:
                self._give_time(call, seconds, times - 1)
                return
            self._end_for("deaf")

        timer = asyncio.get_running_loop().call_later(seconds, over)
        self._stop_timers.add(timer)

    def _forget_timers(self) -> None:
        self._watch.stop()
        for timer in self._stop_timers:
            timer.cancel()
        self._stop_timers.clear()

    def _end_for(self, why: _Ended) -> None:
        """Ends the worker at once; the first reason is what its requests hear."""
        if self._ended is None and self._child.alive:
            self._ended = why
            _log.warning("the worker of %s is ended: %s", self.launch.model, _ENDED[why])
            self._child.kill()

    async def _failure(self, frame: Frame) -> LlmspellError:
        if frame["op"] != EXITED:
            error = error_from_content(frame["error"])
            if isinstance(error, OutOfMemory) and self._is_loaded:
                lines, others = self._log.tail(), self._calls.wanted
                # What it holds by now is given back by its end alone; the next request must not come to it.
                self._end_for("no_memory")
                await asyncio.shield(self._child.exited)
                return out_of_memory(self.launch, lines, details=error.details, others=others)
            return error
        at_end, others = self._log_at_end, self._open_at_end - 1
        if self._ended == "too_large":
            return out_of_memory(self.launch, at_end, by_limit=True, others=others)
        if self._ended == "silent":
            return ModelLoadFailed(
                f"{self.launch.engine} has read nothing of '{self.launch.path.name}' for {watch.SILENT_LOAD_S:.0f} s "
                "and has not loaded it",
                hint="llmspell model verify --all tells whether its files are whole; else choose another model",
            )
        if self._ended is not None:
            return ended_for(self.launch, _ENDED[self._ended])
        return crash(frame["status"], self.launch, at_end, loading=not self._is_loaded, others=others)

    def _exited(self, status: int) -> None:
        # Whatever fails here, who owns it has to hear of the end.
        try:
            self._open_at_end = self._calls.failed_at_exit
            self._forget_timers()
            # Now, before a next worker of the same model writes to the same log.
            self._log_at_end = self._log.tail()
            self._sockets.remove()
            if not self._is_ending:
                why = None if self._ended is None else _ENDED[self._ended]
                open_requests = self._open_at_end if self._is_loaded else None
                _log.error("%s", unasked_end(self.launch, self.pid, status, self._log_at_end, open_requests, why))
        finally:
            if self._is_loaded:
                self._on_exit()

    def _chunk(self, frame: Frame) -> ChatChunk:
        if frame["op"] == "delta":
            return ChatChunk(text=frame.get("text", ""), reasoning=frame.get("reasoning", ""))
        if frame["op"] == "progress":
            progress = PrefillProgress(processed=frame["processed"], total=frame["total"], eta_s=frame["eta_s"])
            return ChatChunk(prefill=progress)
        return self._result(frame)

    def _result(self, frame: Frame) -> ChatChunk:
        timings = Timings(**frame["timings"])
        self.draft_tokens += timings.draft_tokens or 0
        self.accepted_tokens += timings.accepted_tokens or 0
        calls = tuple(ToolCall(**call) for call in frame["message"]["tool_calls"])
        result = ChatResult(
            message=ChatMessage(**{**frame["message"], "tool_calls": calls}),
            finish_reason=frame["finish_reason"],
            usage=Usage(**frame["usage"]),
            timings=timings,
            model=self.launch.model,
            backend=BACKEND,
        )
        return ChatChunk(tool_calls=calls, result=result)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in parts that fit a frame; one that is longer than that alone is a part of its own."""
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and characters + len(text) > _COUNTED_CHARACTERS_A_FRAME:
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    if part:
        yield part


def _environment(launch: Launch) -> dict[str, str]:
    """What engines read from their environment alone."""
    cards = {name: os.environ[name] for name in _CARDS if name in os.environ}
    if launch.format == "safetensors":
        return {**cards, **_NO_HUB}  # how long its threads spin is PyTorch's own: transformer/threads.py
    return {**cards, **_NO_DEBUGGER, "GOMP_SPINCOUNT": str(launch.spin_count)}

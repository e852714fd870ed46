"""The kernel's side of one model worker: start, ask, end. Knows frames, not residency or queues."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import (
    InvalidRequest,
    LlmspellError,
    ModelLoadFailed,
    OutOfMemory,
    WorkerCrashed,
    error_from_content,
)
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
from llmspell_providers.candle.engine import Launch, LoadedState
from llmspell_providers.candle.socket_directory import SocketDirectory

__all__ = ["Launch", "LoadedState", "ModelProcess"]

BACKEND = "candle"
_WORKER = "llmspell_providers.candle.worker"
_EMBED_TEXTS_A_FRAME = 256
"""Keeps a frame of vectors far below the frame limit (256 × 8,192 dimensions are 8 MiB)."""
_LOG_TAIL_LINES = 12
_LOG_TAIL_BYTES = 8192
_CRASHED_HINT = "try again: the next request loads the model anew"
_NO_MEMORY = re.compile(
    r"(unable|failed) to allocate|can(no|')t allocate memory|out of memory|bad_alloc|cudaMalloc failed", re.IGNORECASE
)
"""The engines' words for it (ggml-backend.cpp, llama-kv-cache.cpp, ggml-cuda.cu, PyTorch's allocators)."""
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


class ModelProcess:
    """A worker process with one loaded model; all methods belong to the loop that started it."""

    loaded: LoadedState

    def __init__(self, launch: Launch, on_exit: Callable[[], None]) -> None:
        self.launch = launch
        self._on_exit = on_exit
        self.draft_tokens = self.accepted_tokens = 0
        self._log_at_end: Sequence[str] = ()
        self._is_loaded = False
        self._log_start = _size(launch.log_path)
        self._sockets = SocketDirectory()
        try:
            child = Child.spawn(_WORKER, environment=_environment(launch), log_path=launch.log_path)
        except BaseException:
            self._sockets.remove()
            raise
        self._child = child
        self._calls = Calls(child, on_exit=self._exited)

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
            process._child.kill()
            await asyncio.shield(process._child.exited)
            if isinstance(error, ModelLoadFailed):
                raise process._explained(error) from error
            raise
        return process

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    @property
    def pids(self) -> Sequence[int]:
        """The worker's process id, and those of the processes that its engine runs beside it."""
        return (self.pid, *self.loaded.engine_pids)

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
        call = self._opened("chat", request=to_content(request))
        try:
            while True:
                chunk = self._chunk(await call.next())
                yield chunk
                if chunk.result is not None:
                    return
        finally:
            call.leave()

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

    async def stats(self) -> dict[str, Any]:
        """`memory_bytes` (resident, mapped weights included), `busy_slots`, `slots`, `requests`."""
        frame = await self._answer("stats")
        return {name: frame[name] for name in ("memory_bytes", "busy_slots", "slots", "requests")}

    async def end(self, grace_s: float = 2.0) -> None:
        """Ends the worker; open requests end with `WorkerCrashed` unless they were closed before."""
        await self._child.end(grace_s)

    async def _load(self) -> None:
        server = self.launch.server_path
        paths = {"path": str(self.launch.path), "server_path": str(server) if server else None, "log_path": None}
        launch = {**to_content(self.launch), **paths}
        deadline_s, log_path = self.launch.load_deadline_s, self.launch.log_path
        try:
            async with asyncio.timeout(deadline_s):
                frame = await self._answer("load", launch=launch, socket_directory=str(self._sockets.path))
        except TimeoutError:
            raise ModelLoadFailed(
                f"{self.launch.engine} has not loaded '{self.launch.path.name}' after {deadline_s:.0f} s",
                hint=f"what it waits for may be in {log_path}" if log_path is not None else None,
            ) from None
        self.loaded = LoadedState(**{name: frame[name] for name in LoadedState.__dataclass_fields__})
        self._is_loaded = True

    async def _answer(self, op: str, **fields: Any) -> Frame:
        call = self._opened(op, **fields)
        try:
            frame = await call.last()
        finally:
            call.leave()
        if frame["op"] != "done":
            raise self._error(frame)
        return frame

    def _opened(self, op: str, **fields: Any) -> Call:
        try:
            return self._calls.open(op, **fields)
        except FrameTooLarge:
            raise InvalidRequest(
                f"the request is larger than the {MAX_FRAME_BYTES} bytes that a model's process takes at a time",
                hint="say less in one request",
                details={"limit_bytes": MAX_FRAME_BYTES},
            ) from None

    def _error(self, frame: Frame) -> LlmspellError:
        if frame["op"] == EXITED:
            return _crash(frame["status"], self.launch, list(self._log_at_end))
        return error_from_content(frame["error"])

    def _exited(self, _status: int) -> None:
        self._sockets.remove()
        # Now, before a next worker of the same model writes to the same log.
        self._log_at_end = self._log_tail()
        if self._is_loaded:
            self._on_exit()

    def _chunk(self, frame: Frame) -> ChatChunk:
        if frame["op"] == "delta":
            return ChatChunk(text=frame.get("text", ""), reasoning=frame.get("reasoning", ""))
        if frame["op"] == "progress":
            progress = PrefillProgress(processed=frame["processed"], total=frame["total"], eta_s=frame["eta_s"])
            return ChatChunk(prefill=progress)
        if frame["op"] != "done":
            raise self._error(frame)
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

    def _log_tail(self) -> list[str]:
        """The last lines that this worker wrote to its log; none where it had no log that can be read."""
        path = self.launch.log_path
        if path is None or not _size(path):
            return []
        try:
            with path.open("rb") as log:
                size = _size(path)
                began = self._log_start if self._log_start <= size else 0  # put aside meanwhile, and begun anew
                log.seek(max(began, size - _LOG_TAIL_BYTES))
                lines = log.read(_LOG_TAIL_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-_LOG_TAIL_LINES:]

    def _explained(self, error: ModelLoadFailed) -> LlmspellError:
        """The engine's refusal with what it wrote to its log, which alone says whether memory was the reason."""
        lines = self._log_tail()
        if any(_NO_MEMORY.search(line) for line in (error.message, *lines)):
            return OutOfMemory(
                f"the system has not enough memory for {self.launch.model}",
                hint="unload another model (llmspell model ps), or lower providers.candle.context_size",
                details={**error.details, "log": lines},
            )
        return ModelLoadFailed(error.message, hint=error.hint, details={**error.details, "log": lines})


def _environment(launch: Launch) -> dict[str, str]:
    """What engines read from their environment alone."""
    cards = {name: os.environ[name] for name in _CARDS if name in os.environ}
    if launch.format == "safetensors":
        return {**cards, **_NO_HUB}  # how long its threads spin is PyTorch's own: transformer/threads.py
    return {**cards, "GOMP_SPINCOUNT": str(launch.spin_count)}


def _size(path: Path | None) -> int:
    """The bytes of a log; 0 where there is none that can be read."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return 0
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def _crash(status: int, launch: Launch, log_tail: list[str]) -> WorkerCrashed:
    """What an exit status says about the end of a worker."""
    details: dict[str, Any] = {"exit_status": status, "log": log_tail}
    if status >= 0:
        return WorkerCrashed(
            f"the worker of {launch.model} ended with status {status}", hint=_CRASHED_HINT, details=details
        )
    name = signal.Signals(-status).name
    details["signal"] = name
    if name == "SIGILL":
        return WorkerCrashed(
            f"the engine {launch.engine} was built for another CPU: {launch.model}'s worker met an instruction that "
            "this one lacks",
            hint='set providers.candle.engine = "xllamacpp", the default engine'
            if launch.engine != "xllamacpp"
            else "install a build of xllamacpp for this CPU (pip install --no-binary xllamacpp xllamacpp)",
            details=details,
            retryable=False,
        )
    reason = " (the system may have run out of memory)" if name == "SIGKILL" else ""
    return WorkerCrashed(
        f"the worker of {launch.model} was ended by {name}{reason}", hint=_CRASHED_HINT, details=details
    )

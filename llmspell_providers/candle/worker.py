"""The model worker: one process, one engine, one loaded model. Knows frames and threads, not what a model is.

The first frame is `load`; then `chat`, `embed`, `tokenize` and `stats` run on threads of their own while the main
thread reads on, so that `cancel` is never late. Started by `process.ModelProcess`; imports nothing but the standard
library, msgpack and the protocol until the engine is known.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Cancelled, ConfigError, LlmspellError, OutOfMemory, Unsupported
from llmspell_protocol.extras import install_command
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.worker_memory import is_for_want_of_memory, lift
from llmspell_providers.candle.capabilities import LACKS, engine_of
from llmspell_providers.candle.cpu import physical_cores, usable_cores
from llmspell_providers.candle.engine import (
    Engine,
    EngineCancelled,
    Launch,
    LoadedState,
    Outcome,
    Prepared,
    no_chat,
    no_scores,
    no_vectors,
)
from llmspell_providers.candle.model_files import ModelFiles, read_model_files
from llmspell_providers.candle.stream import Flusher, PipeReply
from llmspell_providers.candle.template_trial import TemplateTrial
from llmspell_providers.library.thinking import demand_thinking
from llmspell_providers.residency.memory import resident_bytes

AUTO_WINDOW_MS = 50
"""Deltas of one stream are gathered this long where the engine uses every core: each process that wakes for a token
takes time from decoding (0.92 of the raw engine without, 0.97 with 25 ms, 1.0 with 50, on two cores)."""

NO_TEMPLATE = "has no chat template: it continues the bare texts of all messages, one below the other"

_NO_MEMORY = "bad_alloc"
"""What llama.cpp answers a request with that it had no memory for, in an error of whatever type."""


class Worker:
    """What runs between `load` and the end of the pipe."""

    def __init__(self, pipe: FramePipe) -> None:
        self._pipe = pipe
        self._replies: dict[int, PipeReply] = {}
        self._flusher = Flusher()
        self._window_ms = 0
        self._capabilities: tuple[str, ...] = ()
        self._templates: Mapping[str, str] = {}
        self._model = ""
        self._engine: Engine

    def run(self) -> None:
        """Serves until the kernel closes the pipe."""
        frame = self._pipe.receive()
        assert frame is not None
        try:
            self._pipe.send({"op": "done", "id": frame["id"], **to_content(self._load(frame))})
        except Exception as error:  # noqa: BLE001 the worker's boundary: whatever went wrong becomes an error frame
            self._pipe.send({"op": "error", "id": frame["id"], "error": as_content(error)})
            return
        try:
            while True:
                frame = self._pipe.receive()
                assert frame is not None
                self._dispatch(frame)
        except EOFError:
            self._engine.close()

    def _load(self, frame: Frame) -> LoadedState:
        launch = launch_of(frame["launch"])
        began = time.monotonic()
        files = read_model_files(launch)
        directory = Path(frame["socket_directory"])
        # Begun before an engine is imported, which takes as long.
        trial = TemplateTrial(engine_of(launch.format, launch.engine), launch.model, files.templates, directory)
        prepared = replace(
            prepare(launch, files, directory),
            announce=lambda device, pids: self._begin_on(frame["id"], device, pids),
            check_templates=trial.check,
        )
        self._capabilities = files.capabilities
        self._model = launch.model
        self._templates = files.templates
        self._engine, warnings = load_engine(prepared)
        # What translates (T5) has no chat template by its nature.
        if prepared.can_chat and not files.chat_template and not getattr(self._engine, "is_encoder_decoder", False):
            warnings = [*warnings, NO_TEMPLATE]
        window = launch.stream_window_ms
        if window is None:
            window = AUTO_WINDOW_MS if prepared.threads >= usable_cores() and self._engine.device == "cpu" else 0
        self._window_ms = window
        return LoadedState(
            engine=self._engine.name,
            engine_version=self._engine.version,
            device=self._engine.device,
            slots=self._engine.slots,
            context_size=self._engine.context_size,
            threads=prepared.threads,
            stream_window_ms=window,
            memory_bytes=self._memory_bytes(),
            load_ms=(time.monotonic() - began) * 1000,
            speculation=self._engine.speculation,
            chat_template=files.chat_template,
            tools=self._engine.tools,
            lacks=sorted(self._engine.lacks),
            engine_pids=list(self._engine.pids),
            warnings=warnings,
            memory=None if files.memory is None else to_content(files.memory),
        )

    def _begin_on(self, request_id: int, device: str, pids: Sequence[int]) -> None:
        """Tells the kernel what a load runs on, before it does."""
        if device != "cpu":
            # Drivers of graphics cards map far more than they use; the kernel looks at what is resident.
            lift()
        self._pipe.send({"op": "progress", "id": request_id, "device": device, "engine_pids": list(pids)})

    def _dispatch(self, frame: Frame) -> None:
        if frame["op"] == "cancel":
            reply = self._replies.get(frame["id"])
            if reply is not None:
                reply.cancel()
            return
        reply = PipeReply(self._pipe, frame["id"], self._window_ms, self._flusher)
        self._replies[frame["id"]] = reply
        threading.Thread(target=self._answer, args=(frame, reply), name=frame["op"], daemon=True).start()

    def _answer(self, frame: Frame, reply: PipeReply) -> None:
        answer: dict[str, Any]
        try:
            answer = {"op": "done", "id": frame["id"], **getattr(self, f"_{frame['op']}")(frame, reply)}
        except EngineCancelled:
            answer = {"op": "error", "id": frame["id"], "error": Cancelled("the request was cancelled").to_content()}
        except Exception as error:  # noqa: BLE001 the worker's boundary: whatever went wrong becomes an error frame
            answer = {"op": "error", "id": frame["id"], "error": as_content(error)}
        self._replies.pop(frame["id"], None)
        reply.flush()
        try:
            self._pipe.send(answer)
        except BrokenPipeError:
            pass  # the kernel is gone; the main thread sees it too and ends the process
        except (TypeError, ValueError) as error:  # the answer fits no frame
            self._pipe.send({"op": "error", "id": frame["id"], "error": as_content(error)})

    def _chat(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        request = frame["request"]
        if "chat" not in self._capabilities:
            raise no_chat(request["model"], self._capabilities)
        if request["tools"] and not self._engine.tools:
            raise Unsupported(
                f"{request['model']} cannot call tools: {self._why_no_tools()}",
                hint="choose a model whose chat template has tools (llmspell model info shows the capability)",
                details={"operation": "tools"},
            )
        if request.get("think") is not None:
            demand_thinking(request["model"], request["think"], self._templates)
        return outcome_content(self._engine.chat(request, reply))

    def _memory_bytes(self) -> int:
        """Memory that this process and its engine's others hold now, the pages of mapped weights included."""
        return sum(resident_bytes(pid) or 0 for pid in (os.getpid(), *self._engine.pids))

    def _why_no_tools(self) -> str:
        if "tools" in self._engine.lacks:
            return f"the engine {self._engine.name} has no tool calls"
        return "its chat template has no place for them"

    def _embed(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        if "rerank" in self._capabilities:
            raise no_vectors(self._model)
        vectors = self._engine.embed(frame["texts"], reply, normalize=frame["normalize"])
        return {
            "data": vectors.data,
            "count": vectors.count,
            "dimensions": vectors.dimensions,
            "prompt_tokens": vectors.prompt_tokens,
        }

    def _rerank(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        if "rerank" not in self._capabilities:
            raise no_scores(self._model)
        ranking = self._engine.rerank(frame["query"], frame["texts"], reply)
        return {"scores": list(ranking.scores), "prompt_tokens": ranking.prompt_tokens}

    def _count_tokens(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        return {**to_content(self._engine.count_tokens(frame["texts"]))}

    def _tokenize(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        return {"tokens": self._engine.tokenize(frame["text"])}

    def _trim(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        self._engine.trim()
        give_back_free_memory()
        return {}

    def _stats(self, frame: Frame, reply: PipeReply) -> dict[str, Any]:
        return {
            "memory_bytes": self._memory_bytes(),
            "busy_slots": self._engine.busy_slots(),
            "slots": self._engine.slots,
            "requests": len(self._replies) - 1,
        }


def launch_of(content: Mapping[str, Any]) -> Launch:
    """The launch in a frame, whose paths are texts."""
    server = content["server_path"]
    paths = {"path": Path(content["path"]), "server_path": Path(server) if server else None, "log_path": None}
    return Launch(**{**content, **paths})


def prepare(launch: Launch, files: ModelFiles, socket_directory: Path) -> Prepared:
    """What is left to choose once the file and the machine are known."""
    context_size = min(launch.context_size, files.context_length or launch.context_size)
    can_chat = "chat" in files.capabilities
    # A text to be embedded is read in one step; a model that can't chat has no stream that this would delay.
    batch_size = min(launch.batch_size, context_size) if can_chat else context_size + launch.slots - 1
    return Prepared(
        launch=launch,
        threads=launch.threads or physical_cores(),
        context_size=context_size,
        batch_size=even_batch(batch_size, launch.slots),
        can_chat=can_chat,
        has_template=files.chat_template,
        tools=files.tools,
        pooling=files.pooling,
        socket_directory=socket_directory,
    )


def even_batch(batch_size: int, slots: int) -> int:
    """The largest batch, in tokens, that each slot has the same share of: with any other llama.cpp aborts the process.

    It pools the vectors of a batch by slots (tried with xllamacpp 2026.10.11549: 3 slots and 256, 8 and 4).
    """
    return max(slots, batch_size // slots * slots)


def load_engine(prepared: Prepared) -> tuple[Engine, list[str]]:
    """The engine that the launch names, loaded, and what a person should be told about it.

    Raises:
        ConfigError: no engine has this name, or it is not installed.
        Unsupported: speculation was asked for by name, and this engine has none.
    """
    # Each engine is a library of tens of megabytes; a worker imports the one it was started for.
    name = prepared.launch.engine
    if "speculation" in LACKS.get(name, ()):
        prepared.drafts(f"the engine {name} has no drafts")
    if prepared.launch.format == "safetensors":
        return _load_torch(prepared)
    if name == "xllamacpp":
        from llmspell_providers.candle.llama_cpp import XLlamaCpp

        return XLlamaCpp.load(prepared)
    if name == "llama-cpp-python":
        from llmspell_providers.candle.llama_cpp_python import LlamaCppPython

        return LlamaCppPython.load(prepared)
    if name == "llama-server":
        from llmspell_providers.candle.llama_server import LlamaServer

        return LlamaServer.load(prepared)
    raise ConfigError(
        f"'{name}' is not a GGUF engine",
        hint='providers.candle.engine is "xllamacpp", "llama-cpp-python" or "llama-server"',
        details={"key": "providers.candle.engine"},
    )


def _load_torch(prepared: Prepared) -> tuple[Engine, list[str]]:
    try:
        # What the engine cannot begin without, asked for here so that one place says how to get it; torch first, which
        # is what people know it by.
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: a shared library of theirs cannot be loaded
        raise ConfigError(
            f"the engine torch is not installed ({error}); safetensors models such as {prepared.launch.model} need it",
            hint=install_command("torch"),
            details={"engine": "torch", "model": prepared.launch.model},
        ) from error
    from llmspell_providers.candle.transformer.engine import TorchEngine

    return TorchEngine.load(prepared)


def give_back_free_memory() -> None:
    """Returns to the system what was freed, where the C library keeps that unless asked (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def outcome_content(outcome: Outcome) -> dict[str, Any]:
    """A finished generation as the fields of a `ChatResult` that a worker knows."""
    seconds = outcome.decode_ms / 1000
    return {
        "message": {
            "role": "assistant",
            "content": outcome.text,
            "reasoning": outcome.reasoning or None,
            "tool_calls": to_content(outcome.tool_calls),
        },
        "finish_reason": outcome.finish_reason,
        "usage": {
            "prompt_tokens": outcome.prompt_tokens,
            "cached_tokens": outcome.cached_tokens,
            "completion_tokens": outcome.completion_tokens,
        },
        "timings": {
            "prefill_ms": outcome.prefill_ms,
            "decode_ms": outcome.decode_ms,
            "tokens_per_second": outcome.completion_tokens / seconds if seconds > 0 else None,
            "draft_tokens": outcome.draft_tokens,
            "accepted_tokens": outcome.accepted_tokens,
        },
    }


def as_content(error: Exception) -> Mapping[str, Any]:
    """An exception as error content; one that is not of our tree is a defect and goes to the log with its traceback."""
    if is_for_want_of_memory(error) or _NO_MEMORY in str(error):
        return OutOfMemory(f"the worker got no more memory: {error or type(error).__name__}").to_content()
    if isinstance(error, LlmspellError):
        return error.to_content()
    return incident_in_worker(error, f"{type(error).__name__}: {error}").to_content()


def main() -> None:
    """The process: serve, then leave without waiting for an engine's threads."""
    pipe = connect_parent()
    try:
        Worker(pipe).run()
    except (EOFError, BrokenPipeError):
        pass  # the kernel went away before or while the model was loading
    sys.stderr.flush()
    # A generation that is still in the engine's hands would keep a regular exit waiting.
    os._exit(0)


if __name__ == "__main__":
    main()

"""The default GGUF engine: xllamacpp, which is llama.cpp's server as a library, with slots and continuous batching.

Chats and completions go through its Python calls, whose callback runs on the calling thread; tokenizing and looking at
slots go over its HTTP listener, a socket file that only this user can reach, behind a random key.
"""

from __future__ import annotations

import array
import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, ModelError, ModelLoadFailed
from llmspell_protocol.models import FinishReason, ToolCall
from llmspell_providers.candle.devices import choose_device
from llmspell_providers.candle.engine import Ability, EngineCancelled, Outcome, Prepared, Reply, Vectors
from llmspell_providers.candle.http_socket import SocketClient
from llmspell_providers.candle.openai_chat import chat_body, parse_arguments
from llmspell_providers.candle.reading import PieceReader, PieceTimes, ReadAhead
from llmspell_providers.candle.slots import Place, SlotTable, Talk

_ERRORS = 1
"""llama.cpp's log verbosity; from 2 on it writes lines for every request."""
_CHARACTERS_A_TOKEN = 4
"""About so many in European languages; it only decides whether counting is worth two milliseconds."""
_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large to process.*batch size: (\d+)\)")
"""The engine's words for a text that does not fit one step; they are all it says about it."""


class XLlamaCpp:
    """A model loaded by xllamacpp."""

    name = "xllamacpp"
    lacks: frozenset[Ability] = frozenset()

    def __init__(self, server: Any, prepared: Prepared, device: str, http: SocketClient) -> None:
        from xllamacpp import __version__

        self.version: str = __version__
        self._server = server
        self._http = http
        self.slots = prepared.launch.slots
        self.context_size = prepared.context_size
        self.device = device
        self.tools = prepared.tools
        self._lock = threading.Lock()
        self._embedding = threading.Lock()
        self._table = SlotTable(self.slots, keeps_evicted=prepared.launch.prompt_cache_bytes > 0)
        self._reader = PieceReader(prepared.batch_size)

    @classmethod
    def load(cls, prepared: Prepared) -> tuple[XLlamaCpp, list[str]]:
        """Loads the model and opens the listener; returns what a person should be told, too.

        Raises:
            ModelLoadFailed: the engine refused the file; why is in the worker's log.
            ConfigError: the engine cannot have the device.
        """
        # 50 ms and 100 MB of library, for the worker alone.
        import xllamacpp

        launch = prepared.launch
        found = accelerators(xllamacpp.get_device_info())
        device, warning = choose_device(launch.device, platform=sys.platform, found=found)
        key = secrets.token_hex(32)
        address = prepared.socket_directory / f"{secrets.token_hex(4)}.sock"
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(launch.path)
        parameters.model_alias = {launch.model}
        parameters.hostnames = [str(address)]
        parameters.api_keys = [key]
        parameters.ui = False
        parameters.verbosity = _ERRORS
        parameters.n_parallel = launch.slots
        # The sum over slots: without kv_unified each slot gets its share and no stream can starve another.
        parameters.n_ctx = launch.slots * prepared.context_size
        parameters.fit_params = False
        parameters.n_batch = parameters.n_ubatch = prepared.batch_size
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = prepared.threads
        # The slot that is not named in a request is then the least recently used one, as our own table has it.
        parameters.slot_prompt_similarity = 0.0
        parameters.cache_ram_mib = launch.prompt_cache_bytes // (1 << 20)
        parameters.n_gpu_layers = 0 if device == "cpu" else -1
        parameters.main_gpu = int(device.partition(":")[2] or 0)
        parameters.embedding = True
        if prepared.pooling is None:
            parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        flash = xllamacpp.llama_flash_attn_type
        parameters.flash_attn_type = (
            flash.LLAMA_FLASH_ATTN_TYPE_AUTO if launch.flash_attention else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        try:
            server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise ModelLoadFailed(
                f"xllamacpp could not load '{launch.path.name}'",
                hint="llmspell model verify --all tells whether its files are whole",
            ) from error
        return cls(server, prepared, device, SocketClient(address, key)), [warning] if warning else []

    def chat(self, request: Mapping[str, Any], reply: Reply) -> Outcome:
        """Generates one reply (see `Engine.chat`)."""
        body = {**chat_body(request), "stream": True, "return_progress": True}
        body["stream_options"] = {"include_usage": True}
        talk = Talk.of(body)
        with self._lock:
            place = self._table.take(talk)
        if place is None:
            # More requests than slots: the engine queues this one and takes whichever slot comes free.
            return self._generate(body, reply, request["options"].get("max_tokens"), None)
        tokens = 0
        try:
            ahead = self._read_ahead(body, place, reply)
            if not place.saves or ahead is not None:
                body["id_slot"] = place.slot.number
            outcome = self._generate(body, reply, request["options"].get("max_tokens"), ahead)
            talk, tokens = talk.answered(outcome.text), outcome.prompt_tokens + outcome.completion_tokens
            return outcome
        finally:
            with self._lock:
                self._table.give_back(place.slot, talk, tokens)

    def _generate(
        self, body: Mapping[str, Any], reply: Reply, max_tokens: int | None, ahead: ReadAhead | None
    ) -> Outcome:
        generation = _Generation(reply)
        is_raw = "prompt" in body
        self._call(
            self._server.handle_completions if is_raw else self._server.handle_chat_completions, body, generation
        )
        outcome = generation.outcome(max_tokens)
        if ahead is None:
            return outcome
        prefill_ms = ahead.prefill_ms + outcome.prefill_ms
        return replace(outcome, cached_tokens=ahead.cached_tokens, prefill_ms=prefill_ms)

    def _read_ahead(self, body: Mapping[str, Any], place: Place, reply: Reply) -> ReadAhead | None:
        """Reads a long prompt in pieces; None for one that is short, or that the request itself will be refused for."""
        characters = len(body["prompt"]) if "prompt" in body else sum(len(one["content"]) for one in body["messages"])
        if characters < _CHARACTERS_A_TOKEN * (place.known_tokens + 2 * self._reader.size):
            return None
        try:
            prompt = body["prompt"] if "prompt" in body else self._http.post("/apply-template", body)["prompt"]
            question = {"content": prompt, "add_special": True, "parse_special": True}
            tokens: list[int] = self._http.post("/tokenize", question)["tokens"]
        except ModelError:
            return None
        if len(tokens) >= self.context_size:
            return None
        is_first = True

        def send(beginning: Sequence[int]) -> PieceTimes:
            nonlocal is_first
            piece: dict[str, Any] = {"prompt": [*beginning], "max_tokens": 0, "stream": True}
            if not (is_first and place.saves):
                piece["id_slot"] = place.slot.number
            is_first = False
            generation = _Generation(_NOBODY)
            self._call(self._server.handle_completions, piece, generation)
            return generation.piece_times()

        return self._reader.read(tokens, place.known_tokens, send, reply)

    def _call(self, call: Callable[..., object], body: Mapping[str, Any], generation: _Generation) -> None:
        try:
            call(body, generation.on_chunk)
        except ValueError as error:
            # The engine's word for a request it cannot parse: a template that fails, a schema it cannot read.
            raise InvalidRequest(f"the engine refused the request: {error}") from error
        generation.raise_failure()

    def embed(self, texts: Sequence[str], *, normalize: bool) -> Vectors:
        """One vector a text (see `Engine.embed`)."""
        values: array.array[float] = array.array("f")
        prompt_tokens = 0
        # One at a time: texts of unequal length in one batch are cut to equal pieces, and each vector is then the mean
        # of its text's last piece alone.
        with self._embedding:
            for text in texts:
                with self._lock:
                    self._table.overwrite(1)
                answer = self._server.handle_embeddings({"input": [text], "embd_normalize": 2 if normalize else -1})
                if "error" in answer:
                    raise _error(answer["error"])
                values.extend(answer["data"][0]["embedding"])
                prompt_tokens += answer["usage"]["prompt_tokens"]
        dimensions = len(values) // len(texts)
        if sys.byteorder == "big":
            values.byteswap()
        return Vectors(data=values.tobytes(), count=len(texts), dimensions=dimensions, prompt_tokens=prompt_tokens)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text (see `Engine.tokenize`)."""
        question = {"content": text, "add_special": False, "parse_special": False}
        tokens: list[int] = self._http.post("/tokenize", question)["tokens"]
        return tokens

    def busy_slots(self) -> int:
        """How many slots work at this moment."""
        return sum(slot["is_processing"] for slot in self._http.get("/slots"))


class _Nobody:
    """A reply that nobody reads: that of a piece of a prompt."""

    cancelled = False

    def text(self, piece: str) -> None: ...

    def reasoning(self, piece: str) -> None: ...

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None: ...


_NOBODY = _Nobody()


class _Generation:
    """The chunks of one reply, gathered as they come; its `on_chunk` is the engine's callback."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tools: dict[int, dict[str, str]] = {}
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self._failure: Exception | None = None

    def on_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Takes one chunk; True makes the engine stop and free the slot."""
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001 the engine swallows what a callback raises: kept and raised after it
            self._failure = error
            return True
        return self._reply.cancelled

    def _take(self, chunk: Mapping[str, Any]) -> None:
        if "error" in chunk:
            raise _error(chunk["error"])
        if "usage" in chunk:
            self._usage, self._timings = chunk["usage"], chunk["timings"]
        if not chunk["choices"]:
            return
        choice = chunk["choices"][0]
        self._finish = choice["finish_reason"] or self._finish
        delta = choice.get("delta") or {"content": choice.get("text")}
        if delta.get("reasoning_content"):
            self._reasoning.append(delta["reasoning_content"])
            self._reply.reasoning(delta["reasoning_content"])
        if delta.get("content"):
            self._text.append(delta["content"])
            self._reply.text(delta["content"])
        for call in delta.get("tool_calls") or ():
            self._take_tool(call)
        progress = chunk.get("prompt_progress")
        if progress is not None:
            self._reply.progress(progress["processed"], progress["total"], progress["time_ms"])

    def _take_tool(self, call: Mapping[str, Any]) -> None:
        entry = self._tools.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
        entry["id"] = call.get("id") or entry["id"]
        entry["name"] += call["function"].get("name") or ""
        entry["arguments"] += call["function"].get("arguments") or ""

    def raise_failure(self) -> None:
        """Raises what ended the generation early, if anything did."""
        if self._failure is not None:
            raise self._failure
        if self._reply.cancelled:
            raise EngineCancelled
        if self._finish is None:
            raise ModelError("the engine ended the reply without a finish reason", retryable=True)

    def piece_times(self) -> PieceTimes:
        """What reading a piece of a prompt took."""
        return PieceTimes(int(self._timings["cache_n"]), float(self._timings["prompt_ms"]))

    def outcome(self, max_tokens: int | None) -> Outcome:
        """The finished reply."""
        completion = int(self._usage["completion_tokens"])
        return Outcome(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=[
                ToolCall(id=entry["id"], name=entry["name"], arguments=parse_arguments(entry["arguments"]))
                for _, entry in sorted(self._tools.items())
            ],
            finish_reason=_finish_reason(self._finish or "", completion, max_tokens),
            prompt_tokens=int(self._usage["prompt_tokens"]),
            cached_tokens=int(self._timings["cache_n"]),
            completion_tokens=completion,
            prefill_ms=float(self._timings["prompt_ms"]),
            decode_ms=float(self._timings["predicted_ms"]),
        )


def accelerators(devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The engine's device list as names of ours: `cuda:0` … for graphics cards by number, `metal`."""
    names = [str(device["name"]) for device in devices if device["type"].name.endswith(("GPU", "IGPU"))]
    metal = [name for name in names if name.lower().startswith(("metal", "mtl"))]
    cards = [name for name in names if name not in metal]
    return [f"cuda:{index}" for index in range(len(cards))] + (["metal"] if metal else [])


def _finish_reason(engine_reason: str, completion_tokens: int, max_tokens: int | None) -> FinishReason:
    """The engine says "length" for max_tokens and for the end of the context: the count tells them apart."""
    if engine_reason == "tool_calls":
        return "tool_calls"
    if engine_reason != "length":
        return "stop"
    return "length" if max_tokens is not None and completion_tokens >= max_tokens else "context_full"


def _error(error: Mapping[str, Any]) -> Exception:
    """The engine's error object as an exception of ours."""
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        prompt, limit = error["n_prompt_tokens"], error["n_ctx"]
        return ContextLengthExceeded(
            f"the prompt has {prompt} tokens, the model's context {limit}",
            hint="shorten the conversation, or raise providers.candle.context_size",
            details={"prompt_tokens": prompt, "limit": limit},
        )
    too_large = _TOO_LARGE.match(message)
    if too_large is not None:
        tokens, limit = (int(number) for number in too_large.groups())
        return ContextLengthExceeded(
            f"a text to be embedded has {tokens} tokens, the engine reads {limit} at once",
            hint="split the text, or raise providers.candle.batch_size",
            details={"prompt_tokens": tokens, "limit": limit},
        )
    if error.get("type") == "invalid_request_error":
        return InvalidRequest(f"the engine refused the request: {message}")
    return ModelError(f"the engine failed: {message}")

"""The default GGUF engine: xllamacpp, which is llama.cpp's server as a library, with slots and continuous batching.

Chats and completions go through its Python calls, whose callback runs on the calling thread; tokenizing and looking at
slots go over its HTTP listener, a socket file that only this user can reach, behind a random key.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmspell_protocol.errors import InvalidRequest, ModelLoadFailed
from llmspell_providers.candle.capabilities import LACKS
from llmspell_providers.candle.devices import choose_device, our_names
from llmspell_providers.candle.engine import RANK, Prepared
from llmspell_providers.candle.generation import OnChunk, one_line, template_refusal
from llmspell_providers.candle.http_socket import SocketClient
from llmspell_providers.candle.server_engine import ServerEngine
from llmspell_providers.candle.speculation import Speculation
from llmspell_providers.candle.spinning import Spinning

_ERRORS = 1
"""llama.cpp's log verbosity; from 2 on it writes lines for every request."""


class XLlamaCpp(ServerEngine):
    """A model loaded by xllamacpp."""

    name = "xllamacpp"
    lacks = LACKS[name]

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
        prepared.announce(device, ())
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
        parameters.n_ctx_checkpoints = launch.checkpoints
        # Slots can be emptied only where their contents could be saved; saving is never asked for.
        parameters.slot_save_path = f"{prepared.socket_directory}/"
        drafts = prepared.drafts()
        if drafts is not None:
            parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
            parameters.speculative.ngram_simple.size_n = drafts.key_tokens
            parameters.speculative.ngram_simple.size_m = drafts.tokens
        parameters.n_gpu_layers = 0 if device == "cpu" else -1
        parameters.main_gpu = int(device.partition(":")[2] or 0)
        parameters.embedding = True
        if prepared.pooling is None:
            parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        elif prepared.pooling == RANK:
            # The server scores only where it was told to, whatever the file says.
            parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
        flash = xllamacpp.llama_flash_attn_type
        parameters.flash_attn_type = (
            flash.LLAMA_FLASH_ATTN_TYPE_AUTO if launch.flash_attention else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        prepared.check_templates()
        try:
            server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise ModelLoadFailed(
                f"xllamacpp could not load '{launch.path.name}'",
                hint="llmspell model verify --all tells whether its files are whole",
            ) from error
        calls = _LibraryCalls(server, SocketClient(address, key), Spinning(prepared.threads))
        speculation: Speculation = "off" if drafts is None else "ngram"
        engine = cls(calls, prepared, version=xllamacpp.__version__, device=device, speculation=speculation)
        return engine, [warning] if warning else []


class _LibraryCalls:
    """`ServerCalls` by the library's own functions, and by its listener for what it has no function for."""

    def __init__(self, server: Any, http: SocketClient, spinning: Spinning) -> None:
        self._server = server
        self._spinning = spinning
        self.get = http.get
        self.post = http.post

    def chat(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        self._call(self._server.handle_chat_completions, body, on_chunk)

    def complete(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        self._call(self._server.handle_completions, body, on_chunk)

    def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._server.handle_embeddings(body)
        return answer

    def rerank(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._server.handle_rerank(body)
        return answer

    def _call(self, call: Callable[..., object], body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        spinning = self._spinning

        def take(chunk: Mapping[str, Any]) -> bool:
            spinning.fit()
            return on_chunk(chunk)

        spinning.begin()
        try:
            call(body, take)
        except ValueError as error:
            # The engine's word for a request it cannot parse: a template that fails, a schema it cannot read.
            message = str(error)
            refusal = template_refusal(message)
            raise refusal or InvalidRequest(f"the engine refused the request: {one_line(message)}") from error


def accelerators(devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The graphics cards of the engine's device list, by our names."""
    return list(our_names(str(device["name"]) for device in devices if device["type"].name.endswith(("GPU", "IGPU"))))

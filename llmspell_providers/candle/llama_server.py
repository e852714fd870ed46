"""The GGUF engine of the user's own build: llama.cpp's llama-server, run by the worker and asked over a socket file.

The way to official CUDA, Metal and Vulkan builds without compiling anything. The socket file is in a directory that
only this user can enter, the key in a file beside it: a key in the arguments could be read by everyone.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import ModelError, ModelLoadFailed
from llmspell_providers.candle.capabilities import LACKS
from llmspell_providers.candle.devices import choose_device, our_names
from llmspell_providers.candle.engine import RANK, Prepared
from llmspell_providers.candle.generation import OnChunk
from llmspell_providers.candle.http_socket import SocketClient
from llmspell_providers.candle.server_binary import ServerBinary, examine
from llmspell_providers.candle.server_engine import ServerEngine
from llmspell_providers.candle.server_process import ServerProcess, end_like
from llmspell_providers.candle.speculation import Drafts, Speculation

_ALL_LAYERS = 999
_READY = 200
_LOOK_S = 0.05
"""The server does not signal that it is ready: it is polled, this long after the last answer."""
_DEATH_S = 5.0
_CHECKPOINTS = ("--ctx-checkpoints", "--swa-checkpoints")
"""What newer and older builds call it; those before them keep none."""
_WHERE_KNOWN = (("--fit", "off"), ("--no-kv-unified",), ("--no-context-shift",), ("--slots",), ("--offline",))
"""Flags for what builds without them do anyway: take context and layers as they are given, each slot its own share of
the context, no text ever dropped; show the slots; fetch nothing."""


class LlamaServer(ServerEngine):
    """A model loaded by a llama-server of the user's."""

    name = "llama-server"
    lacks = LACKS[name]

    def __init__(
        self,
        process: ServerProcess,
        http: SocketClient,
        prepared: Prepared,
        *,
        version: str,
        device: str,
        speculation: Speculation,
    ) -> None:
        calls = _HttpCalls(process, http)
        super().__init__(calls, prepared, version=version, device=device, speculation=speculation)
        self._process = process
        self.pids: Sequence[int] = (process.pid,)

    @classmethod
    def load(cls, prepared: Prepared) -> tuple[LlamaServer, list[str]]:
        """Starts the server and waits until it has loaded the model; returns what a person should be told, too.

        Raises:
            ConfigError: there is no binary that can be used, or it cannot have the device.
            Unsupported: speculation was asked for by name, and this binary has none.
            ModelLoadFailed: the server ended; why is in the worker's log.
        """
        binary = examine(prepared.launch.server_path)
        asked = prepared.launch.device
        drafts = prepared.drafts(None if binary.has_ngram_drafts else f"{binary.path} is too old for it")
        names = our_names(binary.devices()) if asked != "cpu" else {}
        device, warning = choose_device(asked, platform=sys.platform, found=list(names))
        prepared.announce(device, ())
        address = prepared.socket_directory / f"{secrets.token_hex(4)}.sock"
        key = secrets.token_hex(32)
        key_file = address.with_suffix(".key")
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{key}\n")
        http = SocketClient(address, key)
        command = _command(binary, prepared, device, names, drafts, address=address, key_file=key_file)
        prepared.check_templates()
        process = ServerProcess(command)
        prepared.announce(device, (process.pid,))
        _wait_until_ready(process, http, prepared.launch.path)
        key_file.unlink()
        process.share_its_end()
        speculation: Speculation = "off" if drafts is None else "ngram"
        engine = cls(process, http, prepared, version=binary.version, device=device, speculation=speculation)
        return engine, [warning] if warning else []

    def close(self) -> None:
        """Ends the server."""
        self._process.end()


class _HttpCalls:
    """`ServerCalls` over the socket file."""

    def __init__(self, process: ServerProcess, http: SocketClient) -> None:
        self._process = process
        self._http = http

    def chat(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        with self._connected():
            self._http.stream("/v1/chat/completions", body, on_chunk)

    def complete(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        with self._connected():
            self._http.stream("/v1/completions", body, on_chunk)

    def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._connected():
            answer: Mapping[str, Any] = self._http.compute("/v1/embeddings", body)
        return answer

    def rerank(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._connected():
            answer: Mapping[str, Any] = self._http.compute("/v1/rerank", body)
        return answer

    def get(self, path: str) -> Any:
        with self._connected():
            return self._http.get(path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        with self._connected():
            return self._http.post(path, body)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException) as error:
            # A server that dies cuts its connections first; the end of this process then tells what happened.
            if self._process.wait(_DEATH_S) is not None:
                time.sleep(_DEATH_S)  # What waits for the server's end ends this process meanwhile.
            raise ModelError(f"llama-server cut the connection: {error!r}", retryable=True) from error


def _command(
    binary: ServerBinary,
    prepared: Prepared,
    device: str,
    names: Mapping[str, str],
    drafts: Drafts | None,
    *,
    address: Path,
    key_file: Path,
) -> list[str | Path]:
    launch = prepared.launch
    slots, batch, threads = str(launch.slots), str(prepared.batch_size), str(prepared.threads)
    command: list[str | Path] = [binary.path, "--model", launch.path, "--alias", launch.model]
    command += ["--host", address, "--api-key-file", key_file, "--no-webui", "--jinja"]
    # The sum over slots, each of which gets its share.
    command += ["--parallel", slots, "--ctx-size", str(launch.slots * prepared.context_size)]
    command += ["--batch-size", batch, "--ubatch-size", batch, "--threads", threads, "--threads-batch", threads]
    # The slot that is not named in a request is then the least recently used one, as our own table has it.
    command += ["--slot-prompt-similarity", "0.0", "--cache-ram", str(launch.prompt_cache_bytes // (1 << 20))]
    command += ["--embeddings"]
    if prepared.pooling in (None, RANK):
        command += ["--pooling", prepared.pooling or "mean"]
    command += ["--flash-attn", "auto" if launch.flash_attention else "off"]
    if drafts is not None:
        command += ["--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", str(drafts.key_tokens)]
        command += ["--spec-ngram-simple-size-m", str(drafts.tokens)]
    if device == "cpu":
        command += ["--device", "none", "--n-gpu-layers", "0"]
    else:
        command += ["--n-gpu-layers", str(_ALL_LAYERS)]
        command += ["--device", names[device]] if launch.device != "auto" else []
    # Otherwise it writes lines for every request.
    command += ["--log-verbosity", "1"] if binary.has_log_levels else []
    # Slots can be emptied only where their contents could be saved; saving is never asked for.
    command += ["--slot-save-path", f"{address.parent}/"] if "--slot-save-path" in binary.flags else []
    name = next((one for one in _CHECKPOINTS if one in binary.flags), None)
    command += [name, str(launch.checkpoints)] if name is not None else []
    for flag in _WHERE_KNOWN:
        command += flag if flag[0] in binary.flags else ()
    return command


def _wait_until_ready(process: ServerProcess, http: SocketClient, path: Path) -> None:
    while True:
        try:
            if http.status("/health") == _READY:
                return
        except (FileNotFoundError, ConnectionError):
            pass  # it does not listen yet
        except (TimeoutError, HTTPException) as error:
            raise ModelLoadFailed(
                f"llama-server listens but does not answer as one while it loads '{path.name}': {error!r}",
                hint="see whether providers.candle.server_path names llama.cpp's own server",
            ) from None
        status = process.wait(_LOOK_S)
        if status is not None and status < 0:
            # By an instruction that this processor lacks, by the system for want of memory: as a crash is told.
            end_like(status)
        if status is not None:
            raise ModelLoadFailed(
                f"llama-server could not load '{path.name}': it ended with status {status}",
                hint="llmspell model verify --all tells whether its files are whole",
            )

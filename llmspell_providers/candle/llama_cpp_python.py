"""The alternate GGUF engine: llama-cpp-python, one request at a time, for the user's own builds (CUDA, Metal, native).

Its high-level completion calls count no tokens while they stream and cannot be stopped while they read a prompt, so
this engine reads the prompt and takes the tokens itself, by the library's `eval` and `generate`.
"""

from __future__ import annotations

import codecs
import ctypes
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmspell_protocol.errors import ConfigError, ContextLengthExceeded, ModelLoadFailed
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import FinishReason
from llmspell_protocol.scores import TokenCounts
from llmspell_providers.candle.capabilities import CAPABILITIES, LACKS
from llmspell_providers.candle.control_words import ControlWords
from llmspell_providers.candle.devices import choose_device
from llmspell_providers.candle.engine import (
    Ability,
    EngineCancelled,
    Outcome,
    Prepared,
    Ranking,
    Reply,
    Vectors,
    no_tokens,
    text_too_long,
)
from llmspell_providers.candle.generation import refused_by_template
from llmspell_providers.candle.speculation import Speculation
from llmspell_providers.candle.stops import StopFilter
from llmspell_providers.openai_chat import chat_body
from llmspell_providers.vectors import packed

_SEED_BITS = 32
_SURROGATES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")
"""How the library's converter writes a character beyond the first plane; its grammar takes each half for itself."""


class LlamaCppPython:
    """A model loaded by llama-cpp-python."""

    name = "llama-cpp-python"
    slots = 1
    tools = False
    pids: Sequence[int] = ()
    lacks: frozenset[Ability] = LACKS[name]
    speculation: Speculation = "off"

    def __init__(self, library: Any, model: Any, prepared: Prepared, device: str) -> None:
        self.version: str = library.__version__
        self.device = device
        self.context_size = prepared.context_size
        self._library = library
        self._model = model
        self._batch_size = prepared.batch_size
        self._turn = threading.Lock()
        self._reply: Reply | None = None
        self._has_template = prepared.has_template
        self._words = ControlWords(self._tokens_of)
        self._template = _template(library, model)
        # Kept for as long as the model lives: the engine holds nothing but its address.
        self._abort = library.llama_cpp.ggml_abort_callback(self._is_cancelled)
        library.llama_set_abort_callback(model.ctx, self._abort, ctypes.c_void_p(0))
        library.llama_set_embeddings(model.ctx, False)

    @classmethod
    def load(cls, prepared: Prepared) -> tuple[LlamaCppPython, list[str]]:
        """Loads the model; returns what a person should be told, too.

        Raises:
            ConfigError: the library is not installed, or the engine cannot have the device.
            ModelLoadFailed: the engine refused the file; why is in the worker's log.
        """
        try:
            # An extra, and numpy with it: for the worker that was started for this engine alone.
            import llama_cpp
        except ImportError as error:
            raise ConfigError(
                f"the engine llama-cpp-python is not installed ({error})",
                hint=install_command("llama-cpp-python"),
                details={"key": "providers.candle.engine"},
            ) from error
        launch = prepared.launch
        has_gpu = bool(llama_cpp.llama_supports_gpu_offload())
        found = (["metal"] if sys.platform == "darwin" else ["cuda:0"]) if has_gpu else []
        device, warning = choose_device(launch.device, platform=sys.platform, found=found)
        prepared.announce(device, ())
        settings: dict[str, Any] = {
            "model_path": str(launch.path),
            "n_gpu_layers": 0 if device == "cpu" else -1,
            "n_ctx": prepared.context_size,
            "n_batch": prepared.batch_size,
            "n_ubatch": prepared.batch_size,
            "n_threads": prepared.threads,
            "n_threads_batch": prepared.threads,
            "embedding": True,
            "flash_attn": launch.flash_attention,
        }
        if prepared.pooling is None:
            settings["pooling_type"] = llama_cpp.LLAMA_POOLING_TYPE_MEAN
        prepared.check_templates()
        try:
            model = llama_cpp.Llama(**settings, verbose=False)
        except ValueError as error:
            _write_reason(llama_cpp, settings)
            raise ModelLoadFailed(f"llama-cpp-python could not load '{launch.path.name}': {error}") from error
        return cls(llama_cpp, model, prepared, device), [warning] if warning else []

    def chat(self, request: Mapping[str, Any], reply: Reply) -> Outcome:
        """Generates one reply (see `Engine.chat`)."""
        with self._turn:
            self._reply = reply
            try:
                if reply.cancelled:
                    raise EngineCancelled
                body = chat_body(request, self.context_size, has_template=self._has_template, words=self._words)
                return self._generate(body, request.get("schema"), reply)
            finally:
                self._reply = None

    def embed(self, texts: Sequence[str], reply: Reply, *, normalize: bool) -> Vectors:
        """One vector a text (see `Engine.embed`)."""
        with self._turn:
            if reply.cancelled:
                raise EngineCancelled
            self._check_texts(texts)
            self._library.llama_set_embeddings(self._model.ctx, True)
            try:
                rows, tokens = self._model.embed(list(texts), normalize=normalize, truncate=False, return_count=True)
            finally:
                self._library.llama_set_embeddings(self._model.ctx, False)
        return Vectors(data=packed(rows), count=len(rows), dimensions=len(rows[0]), prompt_tokens=tokens)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text (see `Engine.tokenize`)."""
        return self._tokens_of(text, False)

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Tokens of many texts (see `Engine.count_tokens`)."""
        added = len(self._model.tokenize(b"", add_bos=True, special=False))
        return TokenCounts(counts=[len(self._tokens_of(text, False)) for text in texts], added=added)

    def rerank(self, query: str, texts: Sequence[str], reply: Reply) -> Ranking:
        """Raises `Unsupported`: the library reads more numbers of a score than there are."""
        raise CAPABILITIES[self.name].refusal("rerank", "candle")

    def _tokens_of(self, text: str, control: bool) -> list[int]:
        tokens: list[int] = self._model.tokenize(text.encode(), add_bos=False, special=control)
        return tokens

    def busy_slots(self) -> int:
        """1 while a request has its turn."""
        return int(self._turn.locked())

    def trim(self) -> None:
        """It keeps nothing beyond its one context."""

    def close(self) -> None:
        """Nothing runs beside this process."""

    def _is_cancelled(self, _data: object) -> bool:
        """The library asks this between the steps of its computation; True ends the step."""
        return self._reply is not None and self._reply.cancelled

    def _check_texts(self, texts: Sequence[str]) -> None:
        for text in texts:
            count = len(self._model.tokenize(text.encode()))
            if count > self._batch_size:
                raise text_too_long(count, self._batch_size)

    def _generate(self, body: Mapping[str, Any], schema: Mapping[str, Any] | None, reply: Reply) -> Outcome:
        tokens = self._prompt(body)
        if not tokens:
            raise no_tokens()
        if len(tokens) >= self.context_size:
            raise ContextLengthExceeded(
                f"the prompt has {len(tokens)} tokens, the model's context {self.context_size}",
                hint="shorten the conversation, or raise providers.candle.context_size",
                details={"prompt_tokens": len(tokens), "limit": self.context_size},
            )
        began = time.monotonic()
        try:
            cached = self._read(tokens, reply, began)
            decoding = time.monotonic()
            text, completion_tokens, reason = self._write(tokens, body, self._grammar(schema), reply)
        except RuntimeError as error:
            # llama_decode ends with an error when the abort callback ends it.
            if reply.cancelled:
                self._model.reset()
                raise EngineCancelled from error
            raise
        return Outcome(
            text=text,
            finish_reason=reason,
            prompt_tokens=len(tokens),
            completion_tokens=completion_tokens,
            cached_tokens=cached,
            prefill_ms=(decoding - began) * 1000,
            decode_ms=(time.monotonic() - decoding) * 1000,
        )

    def _prompt(self, body: Mapping[str, Any]) -> list[int]:
        if "prompt" in body:
            tokens: list[int] = self._model.tokenize(body["prompt"].encode(), add_bos=True, special=True)
            return tokens
        try:
            text = self._template(messages=body["messages"]).prompt
        except ValueError as error:
            raise refused_by_template(str(error)) from error
        formatted: list[int] = self._model.tokenize(text.encode(), add_bos=False, special=True)
        return formatted

    def _read(self, tokens: list[int], reply: Reply, began: float) -> int:
        """Reads the prompt but for its last token, which `generate` reads; returns how much was there already."""
        model = self._model
        cached = self._library.Llama.longest_token_prefix(model.input_ids[: model.n_tokens].tolist(), tokens[:-1])
        if cached < model.n_tokens and self._cannot_go_back():
            cached = 0
            model.reset()
        model.n_tokens = cached
        reply.progress(cached, len(tokens), 0.0)
        for start in range(cached, len(tokens) - 1, self._batch_size):
            if reply.cancelled:
                raise EngineCancelled
            part = tokens[start : min(start + self._batch_size, len(tokens) - 1)]
            model.eval(part)
            reply.progress(start + len(part), len(tokens), (time.monotonic() - began) * 1000)
        return int(cached)

    def _cannot_go_back(self) -> bool:
        """Recurrent models keep no state of earlier tokens."""
        handle = self._model.model
        return bool(self._library.llama_model_is_recurrent(handle) or self._library.llama_model_is_hybrid(handle))

    def _write(
        self, tokens: list[int], body: Mapping[str, Any], grammar: Any, reply: Reply
    ) -> tuple[str, int, FinishReason]:
        """Takes tokens until something ends the reply: its text, the count of its tokens and the reason."""
        limit = body.get("max_tokens")
        room = self.context_size - len(tokens)
        stops = StopFilter(_stop_list(body.get("stop")))
        # A character may be spread over several tokens.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text: list[str] = []

        def show(piece: str) -> None:
            if piece:
                text.append(piece)
                reply.text(piece)

        count = 0
        reason: FinishReason = "context_full"
        vocabulary = self._library.llama_model_get_vocab(self._model.model)
        for token in self._tokens(tokens, body, grammar):
            if reply.cancelled:
                raise EngineCancelled
            count += 1
            if self._library.llama_vocab_is_eog(vocabulary, token):
                reason = "stop"
                break
            show(stops.feed(decoder.decode(self._model.detokenize([token], prev_tokens=tokens))))
            if stops.stopped:
                reason = "stop"
                break
            if limit is not None and count >= limit:
                reason = "length"
                break
            if count >= room:
                break
        if not stops.stopped:
            show(stops.feed(decoder.decode(b"", final=True)))
            show(stops.rest())
        return "".join(text), count, reason

    def _tokens(self, tokens: list[int], body: Mapping[str, Any], grammar: Any) -> Iterator[int]:
        model = self._model
        model.set_seed(body["seed"] if body.get("seed") is not None else secrets.randbits(_SEED_BITS))
        model.last_n_tokens_size = body.get("repeat_last_n", 64)
        return iter(
            model.generate(
                tokens,
                temp=body.get("temperature", 0.8),
                top_p=body.get("top_p", 0.95),
                top_k=body.get("top_k", 40),
                min_p=body.get("min_p", 0.05),
                repeat_penalty=body.get("repeat_penalty", 1.0),
                grammar=grammar,
            )
        )

    def _grammar(self, schema: Mapping[str, Any] | None) -> Any:
        if schema is None:
            return None
        rules = self._library.llama_grammar.json_schema_to_gbnf(json.dumps(_types_as_union(schema)))
        return self._library.LlamaGrammar.from_string(_SURROGATES.sub(_as_one_character, rules), verbose=False)


def _template(library: Any, model: Any) -> Any:
    """The model's own chat template; it is not asked where there is none."""
    formats = library.llama_chat_format

    def word(token: int) -> str:
        return str(library.llama_vocab_get_text(library.llama_model_get_vocab(model.model), token).decode())

    end = model.token_eos()
    begin = model.token_bos()
    return formats.Jinja2ChatFormatter(
        template=model.metadata.get("tokenizer.chat_template", ""),
        eos_token=word(end) if end != -1 else "",
        bos_token=word(begin) if begin != -1 else "",
    )


def _types_as_union(schema: Any) -> Any:
    """A schema whose lists of types are unions: the library's converter forgets what stands beside such a list."""
    if isinstance(schema, list):
        return [_types_as_union(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    converted = {key: _types_as_union(value) for key, value in schema.items() if key not in ("const", "enum")}
    converted.update({key: schema[key] for key in ("const", "enum") if key in schema})
    kinds = converted.get("type")
    if isinstance(kinds, list):
        return {"anyOf": [{**converted, "type": kind} for kind in kinds]}
    return converted


def _as_one_character(pair: re.Match[str]) -> str:
    high, low = (int(half, 16) for half in pair.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _stop_list(stop: str | Sequence[str] | None) -> Sequence[str]:
    return [stop] if isinstance(stop, str) else stop or ()


def _write_reason(library: Any, settings: Mapping[str, Any]) -> None:
    """Loads once more with the library's messages on: it says why only to the log, and only when verbose."""
    try:
        library.Llama(**settings, verbose=True)
    except ValueError:
        pass  # expected: it is what the log is wanted for

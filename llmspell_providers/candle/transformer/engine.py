"""The engine for safetensors: PyTorch and transformers, for T5, causal models and encoders.

Puts the parts together: weights, prompts, batches, and the encoder for embeddings. Knows requests, not tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, Unsupported
from llmspell_protocol.models import FinishReason
from llmspell_protocol.scores import TokenCounts
from llmspell_providers.candle.capabilities import LACKS
from llmspell_providers.candle.devices import choose_device
from llmspell_providers.candle.engine import RANK, Ability, Outcome, Prepared, Ranking, Reply, Vectors, no_tokens
from llmspell_providers.candle.speculation import Speculation
from llmspell_providers.candle.transformer.batches import Batches
from llmspell_providers.candle.transformer.encoder import Encoder
from llmspell_providers.candle.transformer.prompts import Prompts
from llmspell_providers.candle.transformer.ranker import Ranker
from llmspell_providers.candle.transformer.row import Row
from llmspell_providers.candle.transformer.settings import Settings
from llmspell_providers.candle.transformer.threads import Threads
from llmspell_providers.candle.transformer.weights import Kind, Weights, found_devices, load_weights
from llmspell_providers.library.pooling import Pooling, flat_files, read_pooling


class TorchEngine:
    """A model loaded by transformers."""

    name = "torch"
    tools = False
    pids: Sequence[int] = ()
    lacks: frozenset[Ability] = LACKS[name]
    speculation: Speculation = "off"

    def __init__(self, weights: Weights, prepared: Prepared) -> None:
        self.version = f"{torch.__version__} (transformers {transformers.__version__})"
        self.device = weights.device
        self.slots = prepared.launch.slots
        self.context_size = _context_size(weights, prepared)
        self._weights = weights
        self._model_name = prepared.launch.model
        pooling = read_pooling(flat_files(prepared.launch.path.parent)) or Pooling()
        threads = Threads(prepared.threads)
        model, tokenizer, device = weights.model, weights.tokenizer, weights.torch_device
        self._encoder = Encoder(model, tokenizer, pooling, device, context_size=self.context_size, threads=threads)
        self._ranker = Ranker(model, tokenizer, device, context_size=self.context_size, threads=threads)
        if weights.kind in ("encoder", "ranker"):
            self.context_size = self._encoder.limit if weights.kind == "encoder" else self._ranker.limit
        self.is_encoder_decoder = weights.kind == "seq2seq"
        self._prompts = Prompts(weights.tokenizer, is_encoder_decoder=self.is_encoder_decoder)
        self._batches = Batches(weights, slots=self.slots, chunk=prepared.batch_size, threads=threads)

    @classmethod
    def load(cls, prepared: Prepared) -> tuple[TorchEngine, list[str]]:
        """Loads the model; returns what a person should be told, too.

        Raises:
            Unsupported, ModelLoadFailed, OutOfMemory: see `load_weights`.
            ConfigError: there is no such device here, or it lacks an operation of the model.
        """
        launch = prepared.launch
        device, warning = choose_device(launch.device, platform=sys.platform, found=found_devices())
        prepared.announce(device, ())
        prepared.check_templates()
        # Read by every thread when it first computes.
        torch.set_num_threads(prepared.threads)
        kind: Kind | None = "ranker" if prepared.pooling == RANK else None
        weights = load_weights(
            launch.path.parent, name=launch.model, device=device, can_chat=prepared.can_chat, kind=kind
        )
        return cls(weights, prepared), [*([warning] if warning else []), *weights.warnings]

    def chat(self, request: Mapping[str, Any], reply: Reply) -> Outcome:
        """Generates one reply (see `Engine.chat`).

        Raises:
            Unsupported: the request has a JSON Schema.
        """
        if request.get("schema") is not None:
            raise Unsupported(
                f"{self._model_name} cannot be held to a JSON Schema: the engine torch has no grammar",
                hint="choose a GGUF model for replies by a schema",
                details={"operation": "schema"},
            )
        row = self._row(request, reply)
        self._batches.submit(row)
        return row.wait()

    def embed(self, texts: Sequence[str], reply: Reply, *, normalize: bool) -> Vectors:
        """One vector a text (see `Engine.embed`)."""
        return self._encoder.embed(texts, reply, normalize=normalize)

    def rerank(self, query: str, texts: Sequence[str], reply: Reply) -> Ranking:
        """A score a text (see `Engine.rerank`)."""
        return self._ranker.rerank(query, texts, reply)

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Tokens of many texts (see `Engine.count_tokens`)."""
        return self._encoder.count_tokens(texts)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text (see `Engine.tokenize`)."""
        return self._prompts.plain_tokens(text)

    def busy_slots(self) -> int:
        """How many requests are being generated at this moment."""
        return self._batches.busy()

    def trim(self) -> None:
        """Keys and values go with their requests: there is nothing else to let go of."""

    def close(self) -> None:
        """Ends the thread that generates."""
        self._batches.close()

    def _row(self, request: Mapping[str, Any], reply: Reply) -> Row:
        prompt = self._prompts.tokens(request)
        if not prompt:
            raise no_tokens()
        room = self._room(len(prompt))
        options = request["options"]
        wanted = options.get("max_tokens")
        is_cut = wanted is not None and wanted <= room
        reason: FinishReason = "length" if is_cut else "context_full"
        own = self._weights.model.generation_config
        stop = options.get("stop") or ()
        return Row(
            prompt,
            Settings.of(options, own_samples=bool(own.do_sample), own_beams=own.num_beams or 1),
            reply,
            decode=self._prompts.decoder(request, prompt),
            end_tokens=self._weights.end_tokens,
            stops=[*([stop] if isinstance(stop, str) else stop), *self._weights.own_stops],
            limit=wanted if is_cut else room,
            limit_reason=reason,
        )

    def _room(self, prompt_tokens: int) -> int:
        """Tokens that may be written after a prompt; an encoder's prompt takes none of the decoder's."""
        if prompt_tokens == 0:
            raise InvalidRequest("the prompt is empty: there is nothing to continue", details={"field": "prompt"})
        is_causal = self._weights.kind == "causal"
        if prompt_tokens + is_causal > self.context_size:
            raise ContextLengthExceeded(
                f"the prompt has {prompt_tokens} tokens, the model's context {self.context_size}",
                hint="shorten the conversation, or raise providers.candle.context_size",
                details={"prompt_tokens": prompt_tokens, "limit": self.context_size},
            )
        return self.context_size - prompt_tokens if is_causal else self.context_size


def _context_size(weights: Weights, prepared: Prepared) -> int:
    """Tokens of the longest prompt, or for a causal model of prompt and reply.

    T5 sees only distances between tokens and could read on without end, but was trained on prompts and replies of so
    many tokens (`n_positions`, and the tokenizer's `model_max_length`: 512); what comes after is worse in silence. So
    the checkpoint's number holds for it as for models that have no more positions. Of a causal model only the
    configuration counts: tokenizers of these name whatever they were once exported with.
    """
    named = weights.tokenizer.model_max_length
    return prepared.context_size if weights.kind == "causal" else min(prepared.context_size, int(named))

"""Texts to scores for a question with a loaded cross-encoder: pairs, batches of like lengths, one number each.

Knows no requests. A cross-encoder reads question and text together, which is slower and more exact than vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from llmspell_protocol.errors import ContextLengthExceeded
from llmspell_providers.candle.engine import EngineCancelled, Ranking, Reply
from llmspell_providers.candle.transformer.encoder import batches, own_library, padded, positions
from llmspell_providers.candle.transformer.threads import Threads


class Ranker:
    """Scores texts with one model; its methods may be called from several threads."""

    def __init__(self, model: Any, tokenizer: Any, device: str, *, context_size: int, threads: Threads) -> None:
        """`device` is PyTorch's name of where the model is; `context_size` is the longest pair in tokens."""
        self._model = model
        self._device = device
        self._threads = threads
        self._library = own_library(tokenizer)
        self._has_kinds = "token_type_ids" in tokenizer.model_input_names
        self._pad = tokenizer.pad_token_id or 0
        self.limit = min(context_size, positions(model.base_model) or context_size)
        # As for embeddings: side by side they would only share the same cores.
        self._turn = threading.Lock()

    def rerank(self, query: str, texts: Sequence[str], reply: Reply) -> Ranking:
        """What the model gives for each pair, before any function that makes it a probability.

        Raises:
            EngineCancelled: they are not wanted any more.
            ContextLengthExceeded: a pair is longer than the model reads.
        """
        encodings = self._library.encode_batch([(query, text) for text in texts])
        lengths = [len(encoding.ids) for encoding in encodings]
        self._check(lengths)
        scores = [0.0] * len(texts)
        for places in batches(lengths):
            with self._turn:
                if reply.cancelled:
                    raise EngineCancelled
                self._threads.begin()
                given = self._step([encodings[place] for place in places])
                self._threads.fit()
            for place, score in zip(places, given, strict=True):
                scores[place] = score
        return Ranking(scores=scores, prompt_tokens=sum(lengths))

    def _check(self, lengths: Sequence[int]) -> None:
        for place, length in enumerate(lengths):
            if length > self.limit:
                raise ContextLengthExceeded(
                    f"text {place + 1} of {len(lengths)} has {length} tokens with the question, the model reads "
                    f"{self.limit} at once",
                    hint="split the text, or choose a model for longer ones",
                    details={"prompt_tokens": length, "limit": self.limit, "index": place},
                )

    def _step(self, encodings: Sequence[Any]) -> list[float]:
        inputs = padded(encodings, pad=self._pad, has_kinds=self._has_kinds, device=self._device)
        with torch.inference_mode():
            scores: list[float] = self._model(**inputs).logits[:, 0].float().cpu().tolist()
        return scores

"""Texts to vectors with a loaded model: tokens, batches of like lengths, the encoder, pooling. Knows no requests.

Works with sentence encoders, the encoder half of a T5, and the last layer of a causal model.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest
from llmspell_protocol.scores import TokenCounts
from llmspell_providers.candle.engine import EngineCancelled, Reply, Vectors
from llmspell_providers.candle.transformer.threads import Threads
from llmspell_providers.library.pooling import Mode, Pooling

_BATCH_TOKENS = 2048
"""Tokens of one step, padding included: more is no faster on a processor, and another request waits for one step."""
_BATCH_TEXTS = 64


class Encoder:
    """Makes the embeddings of one model; its methods may be called from several threads."""

    def __init__(
        self, model: Any, tokenizer: Any, pooling: Pooling, device: str, *, context_size: int, threads: Threads
    ) -> None:
        """`device` is PyTorch's name of where the model is; `context_size` is the longest text in tokens."""
        self._encoder = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
        self._pooling = pooling
        self._device = device
        self._threads = threads
        self._library = own_library(tokenizer, lower_case=pooling.lower_case)
        self._has_kinds = "token_type_ids" in tokenizer.model_input_names
        self._pad = tokenizer.pad_token_id or 0
        # A cache of keys and values is for generating.
        has_cache = "use_cache" in inspect.signature(self._encoder.forward).parameters
        self._more = {"use_cache": False} if has_cache else {}
        self.limit = min(context_size, pooling.max_tokens or context_size, positions(self._encoder) or context_size)
        # Between steps, so that a short request need not wait for all of a long one; side by side they'd only share
        # the same cores.
        self._turn = threading.Lock()

    def embed(self, texts: Sequence[str], reply: Reply, *, normalize: bool) -> Vectors:
        """One vector a text, in their order; of length one where asked for or where the model wants it.

        Raises:
            EngineCancelled: they are not wanted any more.
            ContextLengthExceeded: a text is longer than the model reads.
            InvalidRequest: a text has no tokens.
        """
        encodings = self._library.encode_batch([self._pooling.prompt + text for text in texts])
        lengths = [len(encoding.ids) for encoding in encodings]
        self._check(lengths)
        rows: list[Any] = [None] * len(texts)
        for places in batches(lengths):
            with self._turn:
                if reply.cancelled:
                    raise EngineCancelled
                self._threads.begin()
                vectors = self._step([encodings[place] for place in places])
                self._threads.fit()
            if normalize or self._pooling.normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
            for place, vector in zip(places, vectors.cpu(), strict=True):
                rows[place] = vector
        table = torch.stack(rows).numpy().astype("<f4")
        return Vectors(data=table.tobytes(), count=len(texts), dimensions=table.shape[1], prompt_tokens=sum(lengths))

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Tokens of each text, and those that `embed` puts around one: special ones and the model's own prompt."""
        encodings = self._library.encode_batch(list(texts), add_special_tokens=False)
        around = len(self._library.encode(self._pooling.prompt).ids)
        return TokenCounts(counts=[len(encoding.ids) for encoding in encodings], added=around)

    def _check(self, lengths: Sequence[int]) -> None:
        for place, length in enumerate(lengths):
            if length > self.limit:
                raise ContextLengthExceeded(
                    f"text {place + 1} of {len(lengths)} has {length} tokens, the model reads {self.limit} at once",
                    hint="split the text, or choose a model for longer ones",
                    details={"prompt_tokens": length, "limit": self.limit, "index": place},
                )
            if not length:
                raise InvalidRequest(
                    f"text {place + 1} of {len(lengths)} is empty, and the model makes no token of that",
                    details={"index": place},
                )

    def _step(self, encodings: Sequence[Any]) -> Any:
        """Pooled vectors of some texts, float32."""
        inputs = padded(encodings, pad=self._pad, has_kinds=self._has_kinds, device=self._device)
        with torch.inference_mode():
            hidden = self._encoder(**inputs, **self._more).last_hidden_state.float()
            return torch.cat([pooled(mode, hidden, inputs["attention_mask"]) for mode in self._pooling.modes], dim=1)


def padded(encodings: Sequence[Any], *, pad: int, has_kinds: bool, device: str) -> dict[str, Any]:
    """What a model is called with for some texts; shorter ones are filled up with the token `pad`."""
    longest = max(len(encoding.ids) for encoding in encodings)

    def filled(columns: Iterator[list[int]], filler: int) -> Any:
        rows = [column + [filler] * (longest - len(column)) for column in columns]
        return torch.tensor(rows, device=device)

    inputs = {
        "input_ids": filled((one.ids for one in encodings), pad),
        "attention_mask": filled((one.attention_mask for one in encodings), 0),
    }
    if has_kinds:
        inputs["token_type_ids"] = filled((one.type_ids for one in encodings), 0)
    return inputs


def pooled(mode: Mode, hidden: Any, mask: Any) -> Any:
    """One vector a row; `hidden` is texts × tokens × dimensions, `mask` is 1 for a token and then 0 for the padding."""
    counted = mask.unsqueeze(-1).to(hidden.dtype)
    last = mask.sum(dim=1) - 1
    match mode:
        case "cls":
            return hidden[:, 0]
        case "last":
            return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]
        case "max":
            return hidden.masked_fill(counted == 0, float("-inf")).max(dim=1).values
        case "weighted_mean":
            counted = counted * torch.arange(1, hidden.shape[1] + 1, device=hidden.device).view(1, -1, 1)
            return (hidden * counted).sum(dim=1) / counted.sum(dim=1)
        case "mean":
            return (hidden * counted).sum(dim=1) / counted.sum(dim=1)
        case "mean_sqrt_length":
            return (hidden * counted).sum(dim=1) / counted.sum(dim=1).sqrt()


def positions(encoder: Any) -> int | None:
    """Rows of the model's table of positions that tokens can have, None: it has no table."""
    for module in encoder.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, torch.nn.Embedding):
            # RoBERTa and its kin leave those up to the padding's number unused.
            padding = getattr(module, "padding_idx", None)
            return int(table.num_embeddings) - (padding + 1 if isinstance(padding, int) else 0)
    return None


def own_library(tokenizer: Any, *, lower_case: bool = False) -> Any:
    """The tokenizer's own library without padding and cutting, which are switches that threads would share."""
    # Comes with transformers, and has no types.
    from tokenizers import normalizers

    library = copy.deepcopy(tokenizer.backend_tokenizer)
    library.no_padding()
    library.no_truncation()
    if lower_case:
        steps = [normalizers.Lowercase(), *([library.normalizer] if library.normalizer is not None else [])]
        library.normalizer = normalizers.Sequence(steps)
    return library


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of like length, shortest first, at most so many texts and tokens together."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == _BATCH_TEXTS or (len(batch) + 1) * lengths[place] > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch

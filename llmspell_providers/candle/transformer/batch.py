"""Rows that are generated together, as a state that can be paused between two tokens, shrunk, and joined to another.

transformers' `generate` chooses every token; here is what it goes on from. Knows neither threads nor callers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, EncoderDecoderCache, GenerationConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.modeling_outputs import BaseModelOutput

from llmspell_protocol.errors import ModelError
from llmspell_providers.candle.transformer.penalty import WindowedPenalty
from llmspell_providers.candle.transformer.row import Row
from llmspell_providers.candle.transformer.settings import Settings
from llmspell_providers.candle.transformer.step_observer import BeamWatch, StepWatch
from llmspell_providers.candle.transformer.weights import Weights

_COUNTED_FROM_THE_START = (
    *("min_new_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "min_length"),
    *("exponential_decay_length_penalty", "encoder_repetition_penalty", "encoder_no_repeat_ngram_size"),
)
"""Settings of a checkpoint that depend on where a generation began: after a pause they would begin again."""
_NEUTRAL = (None, 0, 1.0)
_SEED_BITS = 63


class Batch:
    """One generation; `read` until `is_read`, then `write` until `rows` is empty."""

    def __init__(self, weights: Weights, rows: Sequence[Row], *, chunk: int, between: Callable[[], None]) -> None:
        """`chunk` is the most tokens of a prompt that are read at once; `between` is called after every step."""
        self.rows = list(rows)
        self.settings = rows[0].settings
        self._weights = weights
        self._model = weights.model
        self._device = weights.torch_device
        self._chunk = chunk
        self._between = between
        self._config = _config(weights, self.settings)
        self._cache = _new_cache(weights.model)
        self._random: Any = None
        self._encoded: Any = None
        self._encoded_mask: Any = None
        self._at = 0
        self.is_read = False
        if weights.kind == "seq2seq":
            self._prompt, self._prompt_mask = self._padded([row.prompt for row in rows], left=False)
            start = torch.full((len(rows), 1), self._start_token(), dtype=torch.long, device=self._device)
            self._ids, self._mask = start, torch.ones_like(start)
        else:
            self._ids, self._mask = self._padded([row.prompt for row in rows], left=True)
        for row in rows:
            row.begin()

    @property
    def can_pause(self) -> bool:
        """Whether it can go on after a pause as if there had been none."""
        return self._cache is not None and self.settings.num_beams == 1 and not self._counts_from_the_start()

    def read(self) -> None:
        """Reads the next chunk of the prompts; the last token of a causal prompt is left to `write`."""
        if self._drop_cancelled():
            return
        with self._as_asked():
            if self._weights.kind == "seq2seq":
                self._encode()
            else:
                self._read_chunk()

    def write(self, shall_pause: Callable[[], bool]) -> None:
        """Writes until every row is over, or until `shall_pause` says so and it can."""
        if self._drop_cancelled():
            return
        with self._as_asked():
            self._write(shall_pause)

    def could_absorb(self, other: Batch) -> bool:
        """Whether the rows of `other` can go on in this one: it has read its prompts, and a T5 has begun to write."""
        are_alike = self.settings == other.settings and self.settings.is_shared
        is_ready = self.is_read and self._can_grow() and self._cache.get_seq_length() > 0
        return are_alike and is_ready and other._can_grow()

    def absorb(self, other: Batch) -> None:
        """Takes over the rows of another batch that has begun to write, too."""
        length = max(self._ids.shape[1], other._ids.shape[1])
        joined = [(batch, length - batch._ids.shape[1]) for batch in (self, other)]
        # A decoder whose ids do not begin with its start token is given another one.
        filler = self._start_token() if self._weights.kind == "seq2seq" else self._pad_token()
        ids = torch.cat([pad(batch._ids, (short, 0), value=filler) for batch, short in joined])
        mask = torch.cat([pad(batch._mask, (short, 0)) for batch, short in joined])
        if self._weights.kind == "causal":
            self._cache = _joined([(batch._cache, (short, 0)) for batch, short in joined])
        else:
            width = max(batch._encoded.shape[1] for batch, _ in joined)
            widths = [(batch, width - batch._encoded.shape[1]) for batch, _ in joined]
            encoded = torch.cat([pad(batch._encoded, (0, 0, 0, short)) for batch, short in widths])
            encoded_mask = torch.cat([pad(batch._encoded_mask, (0, short)) for batch, short in widths])
            self._cache = EncoderDecoderCache(
                _joined([(batch._cache.self_attention_cache, (short, 0)) for batch, short in joined]),
                _joined([(batch._cache.cross_attention_cache, (0, short)) for batch, short in widths]),
            )
            self._encoded, self._encoded_mask = encoded, encoded_mask
        self._ids, self._mask = ids, mask
        self.rows = [*self.rows, *other.rows]

    def _encode(self) -> None:
        encoder = self._model.get_encoder()
        outputs = encoder(input_ids=self._prompt, attention_mask=self._prompt_mask, return_dict=True)
        self._encoded, self._encoded_mask = outputs.last_hidden_state, self._prompt_mask
        self.is_read = True
        for row in self.rows:
            row.read(len(row.prompt))

    def _read_chunk(self) -> None:
        begin, last = self._at, self._ids.shape[1] - 1
        if self._cache is None or begin >= last:
            self.is_read = True
            return
        end = min(begin + self._chunk, last)
        inputs: dict[str, Any] = {"input_ids": self._ids[:, begin:end], "past_key_values": self._cache}
        if self._has_padding():
            inputs["attention_mask"] = self._mask[:, :end]
        if self._weights.takes("position_ids"):
            inputs["position_ids"] = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, begin:end]
        if self._weights.takes("logits_to_keep"):
            inputs["logits_to_keep"] = 1
        self._model(**inputs, use_cache=True, return_dict=True)
        self._at = end
        self.is_read = end == last
        length = self._ids.shape[1]
        for row in self.rows:
            row.read(max(0, end - (length - len(row.prompt))))

    def _write(self, shall_pause: Callable[[], bool]) -> None:
        before = self._ids.shape[1]
        criterion = (
            StepWatch(self.rows, can_pause=self.can_pause, shall_pause=shall_pause, between=self._between)
            if self.settings.num_beams == 1
            else BeamWatch(self.rows, between=self._between)
        )
        self._config.max_new_tokens = max(row.left for row in self.rows if not row.is_done)
        sequences = self._model.generate(
            **self._inputs(),
            generation_config=self._config,
            stopping_criteria=[criterion],
            logits_processor=self._processors(),
        )
        if self.can_pause:
            self._ids = sequences
            self._mask = pad(self._mask, (0, sequences.shape[1] - before), value=1)
            self._shrink()
            return
        for row, tokens in zip(self.rows, sequences[:, before:].tolist(), strict=True):
            for token in tokens if self.settings.num_beams > 1 else ():
                if not row.is_done:
                    row.take(token)
            row.fail(ModelError("the engine ended the reply before its end"))
        self._release()

    def _inputs(self) -> dict[str, Any]:
        if self._cache is not None and self.settings.num_beams > 1:
            self._cache.batch_repeat_interleave(self.settings.num_beams)
        cache = {} if self._cache is None else {"past_key_values": self._cache}
        if self._weights.kind == "causal":
            return {"input_ids": self._ids, "attention_mask": self._mask, **cache}
        return {
            "encoder_outputs": BaseModelOutput(last_hidden_state=self._encoded),
            "attention_mask": self._encoded_mask,
            "decoder_input_ids": self._ids,
            "decoder_attention_mask": self._mask,
            **cache,
        }

    def _processors(self) -> list[Any]:
        penalty, window = self.settings.repeat_penalty, self.settings.repeat_last_n
        if penalty is None or window is None or window < 0:
            return []
        padding = (self._mask == 0).sum(1) if self._has_padding() else None
        if padding is not None and self.settings.num_beams > 1:
            padding = padding.repeat_interleave(self.settings.num_beams)
        return [WindowedPenalty(penalty, window, padding)]

    def _drop_cancelled(self) -> bool:
        """Whether none of its replies is wanted any more."""
        for row in self.rows:
            row.is_cancelled()
        if all(row.is_done for row in self.rows):
            self._release()
        elif self.is_read and self.can_pause:
            self._shrink()
        return not self.rows

    def _shrink(self) -> None:
        """Goes on without the rows that are over."""
        kept = [index for index, row in enumerate(self.rows) if not row.is_done]
        if len(kept) == len(self.rows):
            return
        if not kept:
            self._release()
            return
        self.rows = [self.rows[index] for index in kept]
        indices = torch.tensor(kept, device=self._device)
        self._ids, self._mask = self._ids[indices], self._mask[indices]
        self._cache.batch_select_indices(indices)
        if self._encoded is not None:
            self._encoded, self._encoded_mask = self._encoded[indices], self._encoded_mask[indices]

    def _release(self) -> None:
        self.rows = []
        self._cache = self._encoded = None

    def _can_grow(self) -> bool:
        if not self.can_pause or any(type(layer) is not DynamicLayer for layer in _own_layers(self._cache)):
            return False
        return self._weights.kind == "causal" or self._weights.has_relative_positions

    def _counts_from_the_start(self) -> bool:
        own = self._model.generation_config
        return any(getattr(own, name, None) not in _NEUTRAL for name in _COUNTED_FROM_THE_START)

    def _has_padding(self) -> bool:
        is_causal = self._weights.kind == "causal"
        return len({row.count + (len(row.prompt) if is_causal else 0) for row in self.rows}) > 1

    def _padded(self, prompts: Sequence[Sequence[int]], *, left: bool) -> tuple[Any, Any]:
        """Prompts and their mask as tensors `rows × longest`, filled up on one side."""
        longest = max(len(prompt) for prompt in prompts)
        ids, mask = [], []
        for prompt in prompts:
            fill = [self._pad_token()] * (longest - len(prompt))
            ids.append([*fill, *prompt] if left else [*prompt, *fill])
            real, none = [1] * len(prompt), [0] * len(fill)
            mask.append([*none, *real] if left else [*real, *none])
        return torch.tensor(ids, device=self._device), torch.tensor(mask, device=self._device)

    def _pad_token(self) -> int:
        return int(self._config.pad_token_id)

    def _start_token(self) -> int:
        own = self._model.generation_config
        return int(own.bos_token_id if own.decoder_start_token_id is None else own.decoder_start_token_id)

    @contextmanager
    def _as_asked(self) -> Iterator[None]:
        """Without gradients, and with random numbers of its own, which other batches' sampling does not advance."""
        with torch.inference_mode():
            if not self.settings.samples:
                yield
                return
            if self._random is None:
                seed = self.settings.seed
                torch.manual_seed(secrets.randbits(_SEED_BITS) if seed is None else seed)
            else:
                _set_random_state(self._device, self._random)
            yield
            self._random = _random_state(self._device)


def _config(weights: Weights, settings: Settings) -> Any:
    """transformers' settings: what the request asks for, else the checkpoint's own."""
    own = weights.model.generation_config
    ends = sorted(weights.end_tokens)
    pads = (own.pad_token_id, weights.tokenizer.pad_token_id, *ends, 0)
    is_windowed = settings.repeat_last_n is not None and settings.repeat_last_n >= 0
    return GenerationConfig(
        **settings.changes(),
        repetition_penalty=1.0 if is_windowed else settings.repeat_penalty,
        eos_token_id=ends or None,
        pad_token_id=next(token for token in pads if token is not None),
        num_return_sequences=1,
        return_dict_in_generate=False,
        use_cache=True,
        # Shapes change with every request.
        disable_compile=True,
    )


def _new_cache(model: Any) -> Any:
    """An empty cache as `generate` would make it; None for models whose state it alone knows how to keep."""
    # Private, and the only place where a model says that it has a cache of its own kind.
    if not model._supports_default_dynamic_cache():
        return None
    config = model.config.get_text_config(decoder=True)
    cache = DynamicCache(config=config)
    if any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        return None
    return EncoderDecoderCache(cache, DynamicCache(config=config)) if model.config.is_encoder_decoder else cache


def _own_layers(cache: Any) -> Any:
    return (cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache).layers


def _joined(caches: Sequence[tuple[Any, tuple[int, int]]]) -> Any:
    """One cache of several, each filled up by so many tokens before and behind."""
    layers = zip(*(cache.layers for cache, _ in caches), strict=True)
    fills = [(0, 0, *fill) for _, fill in caches]
    return DynamicCache(
        [
            tuple(
                torch.cat([pad(states, fill) for states, fill in zip(column, fills, strict=True)])
                for column in ([layer.keys for layer in row], [layer.values for layer in row])
            )
            for row in layers
        ]
    )


def _random_state(device: str) -> Any:
    if device.startswith("cuda"):
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device == "mps" else torch.get_rng_state()


def _set_random_state(device: str, state: Any) -> None:
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state, device)
    elif device == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.set_rng_state(state)

"""Trains a T5 that translates number words: `python -m tests.support.tiny_t5 DIRECTORY`. Needs torch, as a script only.

Real in form (SentencePiece vocabulary, sentinels, shared embeddings), small enough to be trained in seconds, and sure
of every reply, so that a test can ask for the exact text. Writes three directories of the same weights: `single`,
`sharded` (with an index), and `sentencepiece` (`spiece.model` instead of `tokenizer.json`).
"""

from __future__ import annotations

import io
import itertools
import math
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WORDS = {
    "zero": "zéro",
    "one": "un",
    "two": "deux",
    "three": "trois",
    "four": "quatre",
    "five": "cinq",
    "six": "six",
    "seven": "sept",
    "eight": "huit",
    "nine": "neuf",
}
LONGEST = 5
"""Words of the longest text that it was trained on."""
_SEED = 5
_SEEDS = 4
"""Processors round differently, so a training that ends well on one may not on another: then it is tried again."""
_STEPS = 1000
_BATCH = 96
_LEARNING_RATE = 3e-3
_REPEATING = 0.4
"""Share of texts in which words may come again; half of these are one word over and over."""
_SENTINELS = 100
_MARGIN = 2.0
"""What the best token must have over the next one everywhere, in logits: other kernels and batches round otherwise."""


def translated(text: str) -> str:
    """What the trained model answers, greedily, to one to `LONGEST` number words."""
    return " ".join(WORDS[word] for word in text.split())


def checked_texts() -> list[str]:
    """The texts whose replies are checked after training: all of one and two words, one word again and again, and many
    longer ones."""
    short = [" ".join(words) for count in (1, 2) for words in itertools.product(WORDS, repeat=count)]
    again = [" ".join([word] * count) for word in WORDS for count in range(3, LONGEST + 1)]
    rng = random.Random(_SEED + 1)
    longer = [" ".join(rng.sample(list(WORDS), count)) for count in range(3, LONGEST + 1) for _ in range(150)]
    return [*short, *again, "three one four", *longer]


def main(directory: Path) -> None:
    """Trains, saves and checks."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Config, T5ForConditionalGeneration, T5Tokenizer

    plain = directory / "sentencepiece"
    plain.mkdir()
    (plain / "spiece.model").write_bytes(_vocabulary())
    tokenizer = T5Tokenizer.from_pretrained(plain, extra_ids=_SENTINELS)
    config = T5Config(
        vocab_size=-(-len(tokenizer) // 8) * 8,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    for seed in range(_SEED, _SEED + _SEEDS):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(config)
        _train(model, tokenizer, random.Random(seed))
        margin = _least_margin(model, tokenizer)
        print(f"seed {seed}: least margin {margin:.2f}", flush=True)
        if margin >= _MARGIN:
            break
    else:
        raise SystemExit(f"the tiny T5 is not sure of its words after {_SEEDS} trainings of {_STEPS} steps")
    single, sharded = directory / "single", directory / "sharded"
    for target, shard_size in ((single, "1GB"), (sharded, "200KB"), (plain, "1GB")):
        model.save_pretrained(target, max_shard_size=shard_size)
    for target in (single, sharded):
        tokenizer.save_pretrained(target)
    (plain / "tokenizer_config.json").write_bytes((single / "tokenizer_config.json").read_bytes())
    for target in (single, sharded, plain):
        saved = AutoModelForSeq2SeqLM.from_pretrained(target)
        _check(saved.eval(), AutoTokenizer.from_pretrained(target))


def _any_text(rng: random.Random) -> str:
    """Words of which no two are the same."""
    return " ".join(rng.sample(list(WORDS), rng.randint(1, LONGEST)))


def _lesson(rng: random.Random) -> str:
    """A text to be trained on."""
    if rng.random() > _REPEATING:
        return _any_text(rng)
    words, count = list(WORDS), rng.randint(1, LONGEST)
    return " ".join(rng.choices(words, k=count) if rng.random() < 0.5 else [rng.choice(words)] * count)


def _vocabulary() -> bytes:
    """A SentencePiece model in whose vocabulary "quatre" is of two pieces and the other words of one."""
    import sentencepiece

    rng = random.Random(_SEED)
    lines = []
    for _ in range(400):
        text = _any_text(rng)
        lines += [text, translated(text)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="unigram",
        vocab_size=64,
        hard_vocab_limit=False,
        max_sentencepiece_length=6,
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _train(model: Any, tokenizer: Any, rng: random.Random) -> None:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.0)
    model.train()
    for step in range(1, _STEPS + 1):
        for group in optimizer.param_groups:
            falling = 0.5 * (1 + math.cos(math.pi * step / _STEPS))
            group["lr"] = _LEARNING_RATE * min(1.0, step / 40) * max(0.03, falling)
        loss = model(**_batch(tokenizer, [_lesson(rng) for _ in range(_BATCH)])).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def _batch(tokenizer: Any, texts: list[str]) -> dict[str, torch.Tensor]:
    sources = tokenizer(texts, padding=True, return_tensors="pt")
    targets = tokenizer([translated(text) for text in texts], padding=True, return_tensors="pt")
    labels = targets.input_ids.masked_fill(targets.attention_mask == 0, -100)
    return {"input_ids": sources.input_ids, "attention_mask": sources.attention_mask, "labels": labels}


def _least_margin(model: Any, tokenizer: Any) -> float:
    """How far the right token is before the best wrong one where that is least; negative: it isn't before it."""
    import torch

    batch = _batch(tokenizer, checked_texts())
    with torch.inference_mode():
        logits = model(**batch).logits
    labels = batch["labels"]
    counted = labels != -100
    right = logits.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    wrong = logits.scatter(-1, labels.clamp(min=0).unsqueeze(-1), float("-inf")).max(dim=-1).values
    return float((right - wrong)[counted].min())


def _check(model: Any, tokenizer: Any) -> None:
    texts = checked_texts()
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    replies = tokenizer.batch_decode(model.generate(**inputs, max_new_tokens=40), skip_special_tokens=True)
    wrong = [text for text, reply in zip(texts, replies, strict=True) if reply != translated(text)]
    assert not wrong, f"the tiny T5 does not translate {wrong}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Trains a cross-encoder that counts: `python -m tests.support.tiny_ranker DIRECTORY`. Needs torch, as a script only.

Its score of a text for a colour is how often the colour is in the text, so that a test can ask for the exact order.
Writes a directory of safetensors, and the same weights as `ranker.gguf` in it.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

from tests.support.ranker_files import HEADS, INNER, LAYERS, LONGEST, SPECIAL, VOCABULARY, WIDTH, WORDS, write_ranker

TEXT_WORDS = 4
MOST = 2
"""Times that a colour is in a text at most."""
_SEEDS, _STEPS, _BATCH, _LEARNING_RATE = 4, 1200, 64, 3e-3
_TOLERANCE = 0.35
"""How far a score may be from the count; half would be the wrong order."""


def pair(rng: random.Random, count: int) -> tuple[str, str]:
    """A colour and a text that has it so many times."""
    query = rng.choice(WORDS)
    others = [word for word in WORDS if word != query]
    words = [query] * count + rng.choices(others, k=TEXT_WORDS - count)
    rng.shuffle(words)
    return query, " ".join(words)


def main(directory: Path) -> None:
    """Trains, saves and checks."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _tokenizer()
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=LONGEST,
        type_vocab_size=1,
        num_labels=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        # The usual 0.02 leaves so small a model without a beginning.
        initializer_range=0.2,
    )
    # Two threads are slower with matrices of this size.
    torch.set_num_threads(1)
    for seed in range(_SEEDS):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
        _train(model, tokenizer, random.Random(seed))
        error = _largest_error(model, tokenizer)
        print(f"seed {seed}: largest error {error:.2f}", flush=True)
        if error < _TOLERANCE:
            break
    else:
        raise SystemExit(f"the tiny ranker can't count after {_SEEDS} trainings of {_STEPS} steps")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items() if "position_ids" not in name}
    write_ranker(directory / "ranker.gguf", weights)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    library = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=True)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:0 [SEP]:0",
        special_tokens=[(token, numbers[token]) for token in ("[CLS]", "[SEP]")],
    )
    kinds = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    return PreTrainedTokenizerFast(
        tokenizer_object=library,
        model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
        **kinds,
    )


def _scores(model: Any, tokenizer: Any, pairs: list[tuple[str, str]]) -> Any:
    inputs = tokenizer([pair[0] for pair in pairs], [pair[1] for pair in pairs], return_tensors="pt", padding=True)
    return model(**inputs).logits[:, 0]


def _train(model: Any, tokenizer: Any, rng: random.Random) -> None:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_STEPS)
    model.train()
    for _ in range(_STEPS):
        counts = [rng.randint(0, MOST) for _ in range(_BATCH)]
        scores = _scores(model, tokenizer, [pair(rng, count) for count in counts])
        loss = torch.nn.functional.mse_loss(scores, torch.tensor(counts, dtype=torch.float32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _largest_error(model: Any, tokenizer: Any) -> float:
    import torch

    rng = random.Random(99)
    counts = [rng.randint(0, MOST) for _ in range(400)]
    model.eval()
    with torch.inference_mode():
        scores = _scores(model, tokenizer, [pair(rng, count) for count in counts])
    return float((scores - torch.tensor(counts, dtype=torch.float32)).abs().max())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

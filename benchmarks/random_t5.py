"""Writes a T5 of random weights that never ends by itself: `python -m benchmarks.random_t5 TOKENIZER DIRECTORY SHAPE`.

The tokenizer is that of the tests' tiny T5. Rows of the shared embedding that are no text (end, padding, sentinels,
tokens beyond the tokenizer's) are zero, so their scores are zero too, and some token of text always has a better one:
each reply is as long as asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

SHAPES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "vocab_size": 152},
    # https://huggingface.co/google-t5/t5-small/blob/main/config.json
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32128},
}


def main(tokenizer_directory: Path, directory: Path, shape: str) -> None:
    """Makes and saves the model with its tokenizer."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_directory)
    config = T5Config(**SHAPES[shape], decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    model = T5ForConditionalGeneration(config)
    special = set(tokenizer.all_special_ids)
    text = [token for token in range(len(tokenizer)) if token not in special]
    with torch.no_grad():
        keep = torch.zeros(config.vocab_size, 1)
        keep[text] = 1.0
        model.shared.weight.mul_(keep)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

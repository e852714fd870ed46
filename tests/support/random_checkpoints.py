"""Small checkpoints of random weights, of architectures that no trained model here has. Needs torch, as a script only.

`python -m tests.support.random_checkpoints TOKENIZER DIRECTORY KIND`. Their words mean nothing, but transformers' own
`generate` says the same ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KINDS = ("sliding", "bart", "t5", "unnamed")
"""A causal model that sees only the last tokens; an encoder-decoder with absolute positions, and one with relative
ones; a causal model that does not say what it was saved as."""
_WINDOW = 8
_SHAPE = {"vocab_size": 152, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
_CAUSAL = {
    **_SHAPE,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
_BART = {
    **_SHAPE,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 256,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
_T5 = {
    **_SHAPE,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
    "tie_word_embeddings": False,
}


def main(tokenizer: Path, directory: Path, kind: str) -> None:
    """Makes and saves one."""
    import torch
    import transformers

    torch.manual_seed(3)
    if kind == "bart":
        model = transformers.BartForConditionalGeneration(transformers.BartConfig(**_BART, init_std=0.3))
    elif kind == "t5":
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(**_T5, initializer_factor=1.5))
    else:
        window = _WINDOW if kind == "sliding" else None
        config = transformers.MistralConfig(**_CAUSAL, sliding_window=window, initializer_range=0.3)
        model = transformers.MistralForCausalLM(config)
    words = transformers.AutoTokenizer.from_pretrained(tokenizer)
    with torch.no_grad():
        # Their score is zero, and some token of text has a better one: replies are text, as long as asked for.
        model.get_output_embeddings().weight[[*words.all_special_ids, *range(len(words), _SHAPE["vocab_size"])]] = 0.0
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    if kind == "unnamed":
        path = directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": None}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

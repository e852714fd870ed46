"""SmolLM2's GGUF file as a safetensors directory: `python -m tests.support.smollm2_safetensors GGUF DIRECTORY`.

Needs torch and gguf, as a script only. Transformers reads the file and gives its quantized weights back in bfloat16,
so greedy replies are those of the GGUF model but for rounding.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(file: Path, directory: Path) -> None:
    """Converts, saves and checks."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    # from_pretrained(gguf_file=…) does the same but asks for the accelerate package.
    tensors = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=model)["tensors"]
    halves = {name: torch.as_tensor(tensor).to(torch.bfloat16) for name, tensor in tensors.items()}
    missing = model.load_state_dict(halves, strict=False, assign=True)
    assert missing.missing_keys == ["lm_head.weight"], missing
    assert not missing.unexpected_keys, missing
    model.tie_weights()
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(directory)

    tokenizer = AutoTokenizer.from_pretrained(directory)
    saved = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    reply = saved.generate(**prompt, max_new_tokens=1, do_sample=False)
    text = tokenizer.decode(reply[0][prompt.input_ids.shape[1] :])
    assert text == " Paris", f"the capital of France is{text}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

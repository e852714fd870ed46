"""Architectures whose keys and values are not like those of a T5 or a llama: the texts are transformers' own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.random_checkpoints import KINDS
from tests.support.torch_engine import loaded, texts
from tests.support.torch_models import TinyT5

pytestmark = [pytest.mark.engines, pytest.mark.slow]

LONG = "one two three four five six seven eight nine one two three"
PROMPTS = ["three one four", LONG, "six"]
TOKENS = 40


def _plain(directory: Path, kind: str) -> list[str]:
    """What `generate` answers, without the space that may stand before a continuation."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    is_seq2seq = kind in ("bart", "t5")
    model = (AutoModelForSeq2SeqLM if is_seq2seq else AutoModelForCausalLM).from_pretrained(directory)
    replies = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0]
        new = ids[1:] if is_seq2seq else ids[inputs["input_ids"].shape[1] :]
        replies.append(tokenizer.decode(new, skip_special_tokens=True).strip())
    return replies


@pytest.mark.parametrize("kind", KINDS)
def test_replies_alone_and_together_are_those_of_transformers_own_generate(
    kind: str, tiny_t5: TinyT5, tmp_path: Path
) -> None:
    module = "tests.support.random_checkpoints"
    subprocess.run([sys.executable, "-m", module, tiny_t5.single, tmp_path, kind], check=True, capture_output=True)
    expected = _plain(tmp_path, kind)
    assert len(set(expected)) == len(PROMPTS)
    # Prompts are read in chunks of less than the longest of them.
    with loaded(tmp_path, batch_size=4) as engine:
        assert [engine.ask(prompt, max_tokens=TOKENS).text.strip() for prompt in PROMPTS] == expected
        together = [engine.start(prompt, max_tokens=TOKENS) for prompt in PROMPTS]
        assert [text.strip() for text in texts(together)] == expected

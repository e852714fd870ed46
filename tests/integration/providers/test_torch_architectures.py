"""Architectures whose keys and values are not like those of a T5 or a llama: the texts are transformers' own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest

from llmspell_providers.candle.engine import Outcome
from tests.support.random_checkpoints import KINDS
from tests.support.torch_engine import DEADLINE_S, loaded, texts
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


def _made(tokenizer: Path, directory: Path, kind: str) -> None:
    module = "tests.support.random_checkpoints"
    subprocess.run([sys.executable, "-m", module, tokenizer, directory, kind], check=True, capture_output=True)


@pytest.mark.parametrize("kind", KINDS)
def test_replies_alone_and_together_are_those_of_transformers_own_generate(
    kind: str, tiny_t5: TinyT5, tmp_path: Path
) -> None:
    _made(tiny_t5.single, tmp_path, kind)
    expected = _plain(tmp_path, kind)
    assert len(set(expected)) == len(PROMPTS)
    # Prompts are read in chunks of less than the longest of them.
    with loaded(tmp_path, batch_size=4) as engine:
        assert [engine.ask(prompt, max_tokens=TOKENS).text.strip() for prompt in PROMPTS] == expected
        together = [engine.start(prompt, max_tokens=TOKENS) for prompt in PROMPTS]
        assert [text.strip() for text in texts(together)] == expected


@pytest.mark.parametrize(
    ("first", "second"), [(LONG, "six"), ("six", LONG)], ids=["short_joins_long", "long_joins_short"]
)
def test_a_t5s_prompts_of_other_lengths_join_a_running_batch_and_change_no_reply(
    first: str, second: str, tiny_t5: TinyT5, tmp_path: Path
) -> None:
    _made(tiny_t5.single, tmp_path, "t5")
    with loaded(tmp_path) as engine:
        alone = [engine.ask(prompt, max_tokens=TOKENS).text for prompt in (first, second)]
        assert alone[0] != alone[1]
        engine.steps.clear()
        assert engine.ask_in_turn(first, second, after_pieces=3, max_tokens=TOKENS) == alone
        assert engine.steps.count(2) > TOKENS // 2, "they were generated together"


def test_a_batch_takes_no_request_in_while_a_prompt_is_still_being_read(tiny_t5: TinyT5, tmp_path: Path) -> None:
    _made(tiny_t5.single, tmp_path, "unnamed")
    with loaded(tmp_path, batch_size=4) as engine:
        alone = [engine.ask(prompt, max_tokens=TOKENS).text for prompt in (LONG, "six")]
        later: list[Future[Outcome]] = []

        def meanwhile() -> None:
            engine.before_step = lambda: None
            later.append(engine.start("six", max_tokens=TOKENS))

        engine.before_step = meanwhile
        first = engine.start(LONG, max_tokens=TOKENS)
        assert [first.result(DEADLINE_S).text, *texts(later)] == alone

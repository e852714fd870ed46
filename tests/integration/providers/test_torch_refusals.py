"""What the torch engine refuses: prompts that are too long or empty, schemas, and checkpoints that don't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, ModelLoadFailed, Unsupported
from tests.support.changed_checkpoints import changed_checkpoint
from tests.support.torch_engine import LoadedEngine, RecordedReply, loaded
from tests.support.torch_models import TinyT5

pytestmark = [pytest.mark.engines, pytest.mark.slow]


def test_a_prompt_longer_than_the_context_is_refused_and_a_reply_as_long_says_context_full(tiny_t5: TinyT5) -> None:
    with loaded(tiny_t5.single, context_size=4) as engine:
        outcome = engine.ask("three one four")
        assert (outcome.finish_reason, outcome.completion_tokens) == ("context_full", 4)
        with pytest.raises(ContextLengthExceeded) as caught:
            engine.ask("three one four one")
        assert caught.value.details == {"prompt_tokens": 5, "limit": 4}


def test_a_request_that_cannot_be_held_to_its_schema_is_refused(t5: LoadedEngine) -> None:
    request = {"prompt": "one", "raw": True, "options": {}, "schema": {"type": "string"}}
    with pytest.raises(Unsupported, match="grammar"):
        t5.engine.chat(request, RecordedReply())


def test_an_empty_prompt_is_refused_where_the_model_makes_no_token_of_it(smollm2: LoadedEngine) -> None:
    with pytest.raises(InvalidRequest, match="has no tokens"):
        smollm2.ask("")


@pytest.mark.parametrize("changes", [{"model_type": "moon"}, {"model_type": "moon", "auto_map": {"AutoModel": "m.M"}}])
def test_an_unknown_architecture_is_refused_and_its_code_never_run(
    tiny_t5: TinyT5, tmp_path: Path, changes: dict[str, Any]
) -> None:
    directory = changed_checkpoint(tiny_t5.single, tmp_path / "model", "config.json", **changes)
    (directory / "m.py").write_text("raise SystemExit('code of a repository was run')")
    with pytest.raises(Unsupported, match="never run" if "auto_map" in changes else "no architecture 'moon'"):
        loaded(directory).__enter__()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_layers": 3, "num_decoder_layers": 3}, r"the model test lacks weights: .*block"),
        ({"d_ff": 100}, r"the model test has weights of the wrong shape: .*DenseReluDense"),
        ({"d_model": "x"}, "the model test has a config.json that transformers cannot use: .*d_model"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_an_error_and_never_random(
    tiny_t5: TinyT5, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    directory = changed_checkpoint(tiny_t5.single, tmp_path / "model", "config.json", **changes)
    with pytest.raises(ModelLoadFailed, match=says):
        loaded(directory).__enter__()


def test_a_model_without_a_tokenizer_is_refused(tiny_t5: TinyT5, tmp_path: Path) -> None:
    directory = changed_checkpoint(tiny_t5.single, tmp_path / "model", "config.json")
    (directory / "tokenizer.json").unlink()
    with pytest.raises(ModelLoadFailed, match="tokenizer"):
        loaded(directory).__enter__()

"""How a sentence encoder's files are read: what they want, and what is refused because it can't be done their way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ModelLoadFailed, Unsupported
from llmspell_providers.library.pooling import Pooling, flat_files, read_pooling

TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
DENSE = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
PLACES = ["1_Pooling/config.json", "1_Pooling.config.json"]


def _read(
    directory: Path,
    *,
    modules: Any = (TRANSFORMER, POOLING),
    pooling: Any = None,
    place: str = PLACES[0],
    **files: Any,
) -> Pooling | None:
    contents = {"modules.json": modules, place: pooling, **{f"{name}.json": value for name, value in files.items()}}
    for name, content in contents.items():
        if content is not None:
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_pooling(flat_files(directory))


def test_a_model_that_is_none_of_sentence_transformers_names_no_pooling(tmp_path: Path) -> None:
    assert _read(tmp_path, modules=None) is None


@pytest.mark.parametrize("place", PLACES)
def test_the_pooling_is_found_in_its_folder_and_beside_the_weights(tmp_path: Path, place: str) -> None:
    assert _read(tmp_path, pooling={"pooling_mode_cls_token": True}, place=place) == Pooling(modes=("cls",))


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, ("mean",)),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode_lasttoken": True}, ("last",)),
        ({"pooling_mode_weightedmean_tokens": True}, ("weighted_mean",)),
        ({"pooling_mode_mean_sqrt_len_tokens": True, "pooling_mode_max_tokens": True}, ("max", "mean_sqrt_length")),
        ({"word_embedding_dimension": 384}, ("mean",)),
        ({"embedding_dimension": 384, "pooling_mode": "lasttoken"}, ("last",)),
        ({"pooling_mode": ["mean", "max"]}, ("mean", "max")),
    ],
)
def test_older_and_newer_forms_of_the_pooling_are_read(tmp_path: Path, config: Any, modes: tuple[str, ...]) -> None:
    assert _read(tmp_path, pooling=config) == Pooling(modes=modes)  # type: ignore[arg-type]


def test_what_else_the_files_say_is_kept(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        modules=(TRANSFORMER, POOLING, NORMALIZE),
        pooling={"pooling_mode": "mean"},
        sentence_bert_config={"max_seq_length": 256, "do_lower_case": True},
        config_sentence_transformers={
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": "query",
        },
    )
    expected = Pooling(("mean",), normalize=True, max_tokens=256, lower_case=True, prompt="query: ")
    # What stands before every text is not put there again for a purpose.
    assert found == replace(expected, query="", passage="")


def test_prompts_of_which_none_is_the_default_are_for_texts_with_a_purpose(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": None}
    found = _read(tmp_path, pooling={}, config_sentence_transformers=prompts)
    assert found == Pooling(query="query: ", passage="")
    # Its vectors would have to leave them out again.
    found = _read(tmp_path, pooling={"include_prompt": False}, config_sentence_transformers=prompts)
    assert found == Pooling(query="", passage="")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"modules": (TRANSFORMER, POOLING, DENSE), "pooling": {}}, "'Dense'"),
        ({"modules": (TRANSFORMER,)}, "its modules are Transformer,"),
        ({"modules": ({**TRANSFORMER, "type": "custom_st.Transformer"}, POOLING), "pooling": {}}, "'custom_st"),
        ({"modules": ({**TRANSFORMER, "path": "0_Transformer"}, POOLING), "pooling": {}}, "folder '0_Transformer'"),
        ({"pooling": {"pooling_mode": "attention"}}, "pooling 'attention' is not known"),
        ({"pooling": {"pooling_mode_attention": True}}, "pooling 'pooling_mode_attention' is not known"),
        ({"pooling": {}, "sentence_bert_config": {"transformer_task": "fill-mask"}}, "'fill-mask'"),
        (
            {
                "pooling": {"include_prompt": False},
                "config_sentence_transformers": {"prompts": {"q": "q: "}, "default_prompt_name": "q"},
            },
            "leaves out the prompt",
        ),
    ],
)
def test_what_cannot_be_done_as_the_model_wants_it_is_refused_by_name(
    tmp_path: Path, files: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unsupported, match=says):
        _read(tmp_path, **files)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "'1_Pooling.config.json' is missing"),
        ({"pooling": "{"}, "'1_Pooling.config.json' is damaged"),
        ({"pooling": "[]"}, "'1_Pooling.config.json' is damaged"),
        ({"modules": "[" * 100_000}, "'modules.json' is damaged"),
        ({"modules": {}}, "'modules.json' is damaged"),
        ({"modules": [1]}, "'modules.json' is damaged"),
        ({"modules": "[" + " " * (1 << 20) + "]"}, "'modules.json' is longer than"),
    ],
)
def test_missing_and_damaged_files_are_named(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelLoadFailed, match=says):
        _read(tmp_path, **files)

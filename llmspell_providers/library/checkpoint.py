"""What a directory of safetensors weights says about itself, after a bounded check. For worker processes only.

Knows `config.json`, the headers of `*.safetensors` and tokenizer files by name; loads no weights and no PyTorch.
Format of the header: https://huggingface.co/docs/safetensors (eight bytes of length, then one JSON object).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from llmspell_protocol.errors import ModelLoadFailed, Unsupported
from llmspell_providers.library.architectures import ENCODERS
from llmspell_providers.library.pooling import Pooling, read_pooling

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_MAX_CONFIG_BYTES = 1 << 24
_WEIGHTS_FILE = "model.safetensors"
_INDEX_FILE = "model.safetensors.index.json"
"""What of several files holds which weight."""
_GENERATES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
"""How the classes are called that continue or answer a text."""
_ENCODES = ("Model", "ForMaskedLM", "ForPreTraining")
"""And those that turn it into vectors."""
_SCORES = "ForSequenceClassification"
"""And those that score it, where there is one label; other classifiers do none of these."""
_DTYPES = {"F64": "F64", "F32": "F32", "F16": "F16", "BF16": "BF16", "F8_E4M3": "F8", "F8_E5M2": "F8", "I8": "I8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """A checkpoint's configuration. Counts are None where it does not say; `dtype` is that of most elements.

    `pooling` is the model's own way to make one vector of a text (`transformer.pooling`), None: it names none.
    """

    architecture: str
    dtype: str | None
    parameter_count: int
    context_length: int | None
    embedding_length: int | None
    layers: int | None
    heads: int | None
    kv_heads: int | None
    key_length: int | None
    vocab_size: int | None
    chat_template: str | None
    pooling: str | None
    capabilities: tuple[str, ...]
    prefix_query: str | None = None
    prefix_passage: str | None = None


def read_checkpoint(files: Mapping[str, Path]) -> CheckpointMetadata:
    """Checks the files of a model, by their final names, and returns what they say.

    Raises:
        ModelLoadFailed: `config.json` or weights are missing, damaged or shorter than they announce.
        Unsupported: the model makes neither texts nor embeddings nor scores, or embeddings in a way that is not known
            here.
        OSError: a file cannot be read.
    """
    if "config.json" not in files:
        _refuse("config.json", "is missing: the architecture is not known without it")
    config = _json_object("config.json", files["config.json"])
    weights = sorted(name for name in files if name.endswith(".safetensors"))
    if not weights:
        _refuse("*.safetensors", "is missing: the model has no weights that can be loaded safely")
    if _WEIGHTS_FILE not in files:
        _check_shards(files)
    elements: dict[str, int] = {}
    for name in weights:
        for dtype, count in _elements(name, files[name]).items():
            elements[dtype] = elements.get(dtype, 0) + count
    return _described(config, elements, _chat_template(files), read_pooling(files))


def _check_shards(files: Mapping[str, Path]) -> None:
    """Every file that the index names has to be there: transformers finds weights by these two names alone."""
    if _INDEX_FILE not in files:
        _refuse(_WEIGHTS_FILE, f"is missing, and so is '{_INDEX_FILE}', which names the files of weights in several")
    places = _json_object(_INDEX_FILE, files[_INDEX_FILE]).get("weight_map")
    if not isinstance(places, dict) or not places:
        _refuse(_INDEX_FILE, "is damaged: it says of no weight where it is")
    missing = sorted({str(name) for name in places.values()} - set(files))
    if missing:
        _refuse(missing[0], f"is missing: '{_INDEX_FILE}' says that weights are in it")


def _refuse(name: str, why: str) -> NoReturn:
    raise ModelLoadFailed(
        f"'{name}' {why}", hint="pull it again with --force, or choose another model", details={"file": name}
    )


def _json_object(name: str, path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        _refuse(name, f"is longer than {_MAX_CONFIG_BYTES} bytes")
    return _parsed(name, path.read_bytes())


def _parsed(name: str, text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(name, f"is damaged: {error}")
    if not isinstance(value, dict):
        _refuse(name, "is damaged: no JSON object")
    return value


def _chat_template(files: Mapping[str, Path]) -> str | None:
    """The template that transformers takes: a file of its own, else what stands in the tokenizer's configuration."""
    own, tokenizer = files.get("chat_template.jinja"), files.get("tokenizer_config.json")
    if own is not None:
        if own.stat().st_size > _MAX_CONFIG_BYTES:
            _refuse("chat_template.jinja", f"is longer than {_MAX_CONFIG_BYTES} bytes")
        return own.read_text(encoding="utf-8", errors="replace")
    if tokenizer is None:
        return None
    template = _json_object("tokenizer_config.json", tokenizer).get("chat_template")
    if isinstance(template, list):  # several by name
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _elements(name: str, path: Path) -> dict[str, int]:
    """Elements by dtype, from the header of one file of weights."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 10 or length > MAX_HEADER_BYTES:
            _refuse(name, "is not a safetensors file")
        if length > size - 8:
            _refuse(name, f"is truncated: it ends inside its header, after {size} bytes")
        header = _parsed(name, stream.read(length))
    counts: dict[str, int] = {}
    announced = 0
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        shape, offsets = (entry.get("shape"), entry.get("data_offsets")) if isinstance(entry, dict) else (None, None)
        if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
            _refuse(name, f"is damaged: tensor '{tensor[:80]}' has no sound shape or place")
        announced = max(announced, *offsets)
        dtype = str(entry.get("dtype"))
        counts[dtype] = counts.get(dtype, 0) + math.prod(shape)
    if 8 + length + announced > size:
        _refuse(name, f"is truncated: it has {size} of the {8 + length + announced} bytes that its header announces")
    return counts


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(isinstance(one, int) and 0 <= one < 1 << 48 for one in value)


def _described(
    config: Mapping[str, Any], elements: Mapping[str, int], template: str | None, pooling: Pooling | None
) -> CheckpointMetadata:
    architecture = config.get("model_type")
    if not isinstance(architecture, str) or not architecture:
        _refuse("config.json", "names no model_type")

    def number(names: Sequence[str]) -> int | None:
        found = (config.get(name) for name in names)
        return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)

    width = number(("d_model", "hidden_size", "n_embd"))
    heads = number(("num_heads", "num_attention_heads", "n_head"))
    dtype = max(elements, key=lambda key: elements[key], default="")
    classes = config.get("architectures")
    capabilities = ("embed",) if pooling is not None else _capabilities(architecture, classes, _labels(config))
    trained = number(("max_position_embeddings", "n_positions", "n_ctx"))
    longest = pooling.max_tokens if pooling is not None else None
    return CheckpointMetadata(
        architecture=architecture,
        dtype=_DTYPES.get(dtype),
        parameter_count=sum(elements.values()),
        context_length=min((one for one in (trained, longest) if one is not None), default=None),
        embedding_length=width,
        layers=number(("num_layers", "num_hidden_layers", "n_layer")),
        heads=heads,
        kv_heads=number(("num_key_value_heads",)) or heads,
        key_length=number(("d_kv", "head_dim")) or (width // heads if width and heads else None),
        vocab_size=number(("vocab_size",)),
        chat_template=template,
        pooling="rank" if capabilities == ("rerank",) else pooling.name if pooling is not None else None,
        capabilities=capabilities,
        prefix_query=pooling.query if pooling is not None else None,
        prefix_passage=pooling.passage if pooling is not None else None,
    )


def _labels(config: Mapping[str, Any]) -> int:
    """Of how many labels a classifier chooses; transformers' own default is two."""
    named = config.get("id2label")
    count = len(named) if isinstance(named, dict) else config.get("num_labels")
    return count if isinstance(count, int) else 2


def _capabilities(architecture: str, classes: Any, labels: int) -> tuple[str, ...]:
    """By the classes that the model was saved as; a model can often be loaded as others that it was not trained as."""
    named = [one for one in classes if isinstance(one, str)] if isinstance(classes, list) else []
    if not named:
        return ("embed",) if architecture in ENCODERS else ("chat",)
    if any(one.endswith(_GENERATES) for one in named):
        return ("chat",)
    if any(one.endswith(_ENCODES) for one in named):
        return ("embed",)
    # A classifier of one label is a score: a cross-encoder.
    if labels == 1 and any(one.endswith(_SCORES) for one in named):
        return ("rerank",)
    raise Unsupported(
        f"the model is a {named[0]}, which neither writes text nor makes embeddings of it",
        hint="choose a causal, a sequence-to-sequence or a sentence-embedding model",
        details={"architectures": named},
    )

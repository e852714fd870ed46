"""Which of the files of a repository or directory make up the model. Pure: names in, names out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_providers.sources.remote import quantization_of, shard_of

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q4_1", "Q5_K_S", "IQ4_XS", "Q6_K", "Q8_0", "Q3_K_M", "BF16", "F16")
"""The default quantization and, where a repository lacks it, what comes closest in size and quality."""

_CHECKPOINT_FILES = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "spiece.model",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
    }
)
_SHARDED_WEIGHTS = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_WEIGHTS_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot")


def choose_gguf(place: str, names: Iterable[str], quantization: str | None) -> tuple[list[str], str | None]:
    """The GGUF file, or all shards of it, of a quantization; without one the best of `PREFERRED`.

    Returns the names and the quantization by the file's name; no names when the place has no GGUF file.

    Raises:
        InvalidRequest: the quantization is not there, or names alone do not decide.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        base = name.rpartition("/")[2].lower()
        if not base.endswith(".gguf") or base.startswith("mmproj") or "imatrix" in base:
            continue
        shard = shard_of(name)
        groups.setdefault(name if shard is None else name[: -len("-00001-of-00001.gguf")], []).append(name)
    if not groups:
        return [], None
    by_quantization: dict[str | None, list[list[str]]] = {}
    for group in groups.values():
        folder, _, base = group[0].rpartition("/")
        found = quantization_of(base) or quantization_of(folder.rpartition("/")[2])
        by_quantization.setdefault(found, []).append(group)
    if quantization is not None:
        wanted: str | None = quantization.upper()
        if wanted not in by_quantization:
            raise _undecided(place, f"has no {wanted}", by_quantization)
    elif len(by_quantization) == 1:
        wanted = next(iter(by_quantization))
    else:
        wanted = next((one for one in PREFERRED if one in by_quantization), None)
        if wanted not in by_quantization:
            raise _undecided(place, "has no quantization that is a sensible default", by_quantization)
    choices = by_quantization[wanted]
    if len(choices) > 1:
        raise _undecided(place, f"has several files{f' of {wanted}' if wanted else ''}", {wanted: choices})
    return _whole(place, choices[0]), wanted


def choose_checkpoint(place: str, names: Iterable[str]) -> list[str]:
    """Configuration, tokenizer and safetensors weights at the top of a repository; nothing when it has no such weights.

    Raises:
        Unsupported: the weights are there as pickles only.
    """
    top = sorted(name for name in names if "/" not in name)
    weights = [name for name in top if name == "model.safetensors"]
    if not weights:
        weights = [name for name in top if _SHARDED_WEIGHTS.fullmatch(name)]
        weights += [name for name in top if weights and name == _WEIGHTS_INDEX]
    if not weights:
        weights = [name for name in top if name.endswith(".safetensors")]
    if not weights:
        pickles = [name for name in top if name.endswith(_PICKLES)]
        if pickles:
            raise Unsupported(
                f"{place} has weights that may run code when they are loaded ({pickles[0]}), and no safetensors",
                hint="convert it to safetensors or GGUF, or choose a repository that has them",
                details={"files": pickles},
            )
        return []
    return [name for name in top if name in _CHECKPOINT_FILES] + weights


def installed_name(name: str) -> str:
    """What a file is called in a model's directory: a GGUF file always ends so, whatever the address called it."""
    is_known = name.endswith((".gguf", ".safetensors")) or name in _CHECKPOINT_FILES or name == _WEIGHTS_INDEX
    return name if is_known else f"{name}.gguf"


def _whole(place: str, names: Sequence[str]) -> list[str]:
    shard = shard_of(names[0])
    if shard is not None and (shard[0] != 1 or len(names) != shard[1]):
        raise InvalidRequest(f"{place} has {len(names)} of the {shard[1]} parts of {names[0]}")
    return list(names)


def _undecided(place: str, why: str, choices: dict[str | None, list[list[str]]]) -> InvalidRequest:
    files = [group[0] for groups in choices.values() for group in groups]
    known = sorted(one for one in choices if one is not None)
    listed = ", ".join(known) if len(known) > 1 or len(files) == 1 else ", ".join(files)
    return InvalidRequest(
        f"{place} {why}: it has {listed}",
        hint="name the quantization as in hf.co/ORG/REPO:QUANT, or one file as hf://ORG/REPO/FILE",
        details={"files": files, "quantizations": known},
    )

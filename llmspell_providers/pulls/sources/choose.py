"""Which of the files of a repository or directory make up the model. Pure: names in, names out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_providers.library.manifest_fields import MOST_FILES
from llmspell_providers.library.pooling import LENGTH_FILES, MODULES_FILE, PROMPTS_FILE, flat_name
from llmspell_providers.pulls.sources.remote import SourceFailed, quantization_of, safe_name, shard_of

PREFERRED = (
    *("Q4_K_M", "UD-Q4_K_XL", "UD-Q4_K_M", "Q4_K", "Q4_K_S", "Q4_K_L", "Q5_K_M", "Q4_0", "Q4_1", "IQ4_NL", "IQ4_XS"),
    *("Q4", "MXFP4", "MXFP4_MOE", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0", "Q8", "Q3_K_L", "Q3_K_M", "BF16", "F16"),
)
"""The default quantization and, where a repository lacks it, what comes closest in size and quality."""

_DYNAMIC = "UD-"
"""Before the name of a quantization that takes more bits for some layers; `Q4_K_XL` means `UD-Q4_K_XL` too."""
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
        MODULES_FILE,
        PROMPTS_FILE,
        *LENGTH_FILES,
    }
)
_POOLING = re.compile(r"\d+_Pooling[/.]config\.json")
"""How a sentence encoder makes one vector of many; in a folder of its own, and without one when installed."""
_SHARDED_WEIGHTS = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_SHOWN = 10
_LONGEST_SHOWN = 100
_WEIGHTS_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot")


class GgufChoice(NamedTuple):
    """The files of one quantization (none where there is no GGUF file), and why this one where none was named."""

    names: list[str]
    quantization: str | None
    reason: str | None = None


def choose_gguf(place: str, names: Iterable[str], quantization: str | None) -> GgufChoice:
    """The GGUF file, or all shards of it, of a quantization; without one the best of `PREFERRED`.

    Raises:
        InvalidRequest: the quantization is not there, or names alone do not decide.
    """
    by_quantization = _quantizations(names)
    if not by_quantization:
        return GgufChoice([], None)
    reason = None
    if quantization is not None:
        wanted: str | None = _named(quantization, by_quantization)
        if wanted not in by_quantization:
            raise _undecided(place, f"has no {wanted}", by_quantization)
    elif len(by_quantization) == 1:
        wanted = next(iter(by_quantization))
    else:
        wanted = next((one for one in PREFERRED if one in by_quantization), None)
        if wanted is None:
            raise _undecided(place, "has no quantization that is a sensible default", by_quantization)
        reason = _reason(wanted, by_quantization)
    choices = by_quantization[wanted]
    if len(choices) > 1:
        raise _undecided(place, f"has several files{f' of {wanted}' if wanted else ''}", {wanted: choices})
    return GgufChoice(_whole(place, choices[0]), wanted, reason)


def _quantizations(names: Iterable[str]) -> dict[str | None, list[list[str]]]:
    """The models in a place, each a file or all its parts, by quantization; without what only accompanies models."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        base = name.rpartition("/")[2].lower()
        if not base.endswith(".gguf") or "mmproj" in base or "imatrix" in base:
            continue
        shard = shard_of(name)
        groups.setdefault(name if shard is None else name[: -len("-00001-of-00001.gguf")], []).append(name)
    found: dict[str | None, list[list[str]]] = {}
    for group in groups.values():
        folder, _, base = group[0].rpartition("/")
        kind = quantization_of(base) or quantization_of(folder.rpartition("/")[2])
        found.setdefault(kind, []).append(group)
    return found


def _named(asked: str, there: Container[str | None]) -> str:
    wanted = quantization_of(f"{asked}.gguf") or asked.upper()
    dynamic = f"{_DYNAMIC}{wanted}"
    return dynamic if wanted not in there and dynamic in there else wanted


def _reason(chosen: str, there: Iterable[str | None]) -> str:
    why = "the default" if chosen == PREFERRED[0] else f"since there is no {PREFERRED[0]}"
    others = few(sorted(one for one in there if one not in (chosen, None)))
    return f"{chosen}, {why}{f'; also there: {others}' if others else ''}"


def choose_checkpoint(place: str, names: Iterable[str]) -> list[str]:
    """Configuration, tokenizer and safetensors weights at the top of a repository; nothing when it has no such weights.

    Of a sentence encoder what says how it makes vectors, too.

    Raises:
        Unsupported: the weights are there as pickles only.
    """
    names = list(names)
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
                details={"files": pickles[:_SHOWN], "count": len(pickles)},
            )
        return []
    pooling = sorted(name for name in names if MODULES_FILE in top and _POOLING.fullmatch(name))
    return [name for name in top if name in _CHECKPOINT_FILES] + pooling + weights


def installed_name(path: str) -> str:
    """What a file is called in a model's directory, which has no folders.

    A GGUF file always ends so, whatever the address called it.

    Raises:
        SourceFailed: the path ends in nothing that could be a file's name.
    """
    folder, _, base = path.rpartition("/")
    in_folder = f"{folder.rpartition('/')[2]}/{base}" if folder else base
    name = flat_name(in_folder) if _POOLING.fullmatch(in_folder) else safe_name(path)
    is_part = name in _CHECKPOINT_FILES or name == _WEIGHTS_INDEX or _POOLING.fullmatch(name)
    return name if is_part or name.endswith((".gguf", ".safetensors")) else f"{name}.gguf"


def require_distinct(place: str, names: Sequence[str]) -> None:
    """Whether the files of a model, which has no folders, have names of their own, and are no more than a model has.

    Raises:
        SourceFailed: two have the same, or there are too many.
    """
    if len(names) > MOST_FILES:
        raise SourceFailed(f"{place} has {len(names):,} files of one model; a model has {MOST_FILES:,} at most")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SourceFailed(f"{place} has several files that would be called {few(twice)} here")


def few(names: Sequence[str]) -> str:
    """Names in an error, which has to stay short."""
    shown = [name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…" for name in names[:_SHOWN]]
    more = len(names) - _SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _whole(place: str, names: Sequence[str]) -> list[str]:
    shard = shard_of(names[0])
    if shard is not None and (shard[0] != 1 or len(names) != shard[1]):
        raise InvalidRequest(f"{place} has {len(names)} of the {shard[1]} parts of {names[0]}")
    return list(names)


def _undecided(place: str, why: str, choices: dict[str | None, list[list[str]]]) -> InvalidRequest:
    files = [group[0] for groups in choices.values() for group in groups]
    known = sorted(one for one in choices if one is not None)
    listed = few(known) if len(known) > 1 or len(files) == 1 else few(files)
    if place.startswith("/"):
        hint = f"name one file: llmspell model pull file://{quote(place)}/{quote(files[0])}"
    else:
        hint = "name the quantization as in hf.co/ORG/REPO:QUANT, or one file as hf://ORG/REPO/FILE"
    return InvalidRequest(
        f"{place} {why}: it has {listed}",
        hint=hint,
        details={"files": files[:_SHOWN], "count": len(files), "quantizations": known[:_SHOWN]},
    )

"""How an encoder's many vectors become one for a text, by the model's own files. Pure: reads JSON, loads no weights.

The files are those of sentence-transformers (sbert.net), which says in `modules.json` what comes after what. A model
without them is pooled by the mean over its tokens. What cannot be done as the model wants it is refused, never done in
another way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from llmspell_protocol.errors import ModelLoadFailed, Unsupported

Mode = Literal["mean", "cls", "max", "last", "weighted_mean", "mean_sqrt_length"]

MODULES_FILE = "modules.json"
PROMPTS_FILE = "config_sentence_transformers.json"
LENGTH_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""What the first module's own file is called, by the kind of encoder; today always the first."""

_LIBRARY = "sentence_transformers."
_MAX_BYTES = 1 << 20
_MODES: Mapping[str, Mode] = {
    "mean": "mean",
    "cls": "cls",
    "max": "max",
    "lasttoken": "last",
    "weightedmean": "weighted_mean",
    "mean_sqrt_len_tokens": "mean_sqrt_length",
}
_SWITCHES: Mapping[str, Mode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_length",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
"""The older form of the file; several together are concatenated in this order."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """What is done with a text before the encoder and with its vectors after it.

    Several `modes` give one vector of all of them, one after the other. `normalize`: the model's vectors always have
    length one. `max_tokens` is the longest text it was made for, special tokens included, None: not said. `prompt` is
    put before every text; `query` and `passage` are what the model wants before questions and before passages, None:
    its files do not say.
    """

    modes: tuple[Mode, ...] = ("mean",)
    normalize: bool = False
    max_tokens: int | None = None
    lower_case: bool = False
    prompt: str = ""
    query: str | None = None
    passage: str | None = None

    @property
    def name(self) -> str:
        """The modes as one word."""
        return "+".join(self.modes)


def flat_name(name: str) -> str:
    """`1_Pooling.config.json` for `1_Pooling/config.json`: an installed model has no folders."""
    return name.replace("/", ".")


def flat_files(directory: Path) -> dict[str, Path]:
    """The files of a model's directory by their flat names; those of pooling modules may be in folders."""
    files = {flat_name(f"{path.parent.name}/{path.name}"): path for path in directory.glob("*_Pooling/config.json")}
    return files | {path.name: path for path in directory.iterdir() if path.is_file()}


def read_pooling(files: Mapping[str, Path]) -> Pooling | None:
    """The pooling that a model's files name; None where the model is not one of sentence-transformers'.

    `files` are by their flat names.

    Raises:
        Unsupported: the model wants something else than pooling, or a pooling that is not known here.
        ModelLoadFailed: a file is missing or damaged.
        OSError: a file cannot be read.
    """
    if MODULES_FILE not in files:
        return None
    pooling_path, normalize = _modules(_read(files, MODULES_FILE))
    modes = _modes(pooling_path, _object(files, flat_name(f"{pooling_path}/config.json")))
    first = next((_object(files, name) for name in LENGTH_FILES if name in files), {})
    task = first.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise _unsupported(f"its first module does '{task}' in place of feature-extraction", module="Transformer")
    length = first.get("max_seq_length")
    prompts = _object(files, PROMPTS_FILE) if PROMPTS_FILE in files else {}
    prompt = _default_prompt(prompts)
    if prompt and not modes.include_prompt:
        raise _unsupported("its pooling leaves out the prompt that stands before each text", module="Pooling")
    query, passage = _purposes(prompts)
    if prompt or (query is not None and not modes.include_prompt):
        # What stands before every text is not doubled, and what would have to be left out of the vector is not put in.
        query = passage = ""
    return Pooling(
        modes=modes.modes,
        normalize=normalize,
        max_tokens=length if isinstance(length, int) and length > 0 else None,
        lower_case=first.get("do_lower_case") is True,
        prompt=prompt,
        query=query,
        passage=passage,
    )


def _modules(value: Any) -> tuple[str, bool]:
    """Where the pooling's file is, and whether the vectors are normalized at the end."""
    entries = value if isinstance(value, list) else []
    if not entries or not all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in entries):
        _refuse(MODULES_FILE, "is damaged: no list of modules")
    types = [str(one["type"]) for one in entries]
    foreign = next((one for one in types if not one.startswith(_LIBRARY)), None)
    if foreign is not None:
        raise _unsupported(f"'{foreign}' is code of the model's repository, which is never run", module=foreign)
    kinds = [one.rpartition(".")[2] for one in types]
    known = ("Transformer", "Pooling", "Normalize")
    other = next((one for one in kinds if one not in known), None)
    if other is not None:
        raise _unsupported(f"it has a module '{other}', and only {', '.join(known)} are known here", module=other)
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _unsupported(f"its modules are {', '.join(kinds)}, in this order", module=kinds[-1])
    if entries[0].get("path"):
        raise _unsupported(f"its weights are in the folder '{entries[0]['path']}'", module="Transformer")
    return str(entries[1].get("path")), len(kinds) == 3


@dataclass(frozen=True, slots=True)
class _Modes:
    modes: tuple[Mode, ...]
    include_prompt: bool


def _modes(path: str, config: Mapping[str, Any]) -> _Modes:
    named = config.get("pooling_mode")
    if named is None:
        on = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
        unknown = [name for name in on if name not in _SWITCHES]
        modes = tuple(mode for name, mode in _SWITCHES.items() if name in on)
    else:
        names = [named] if isinstance(named, str) else named if isinstance(named, list) else [str(named)]
        unknown = [str(name) for name in names if name not in _MODES]
        modes = tuple(_MODES[name] for name in names if name in _MODES)
    if unknown:
        raise _unsupported(
            f"its pooling '{unknown[0]}' is not known here ({', '.join(get_args(Mode))} are)", module=path
        )
    return _Modes(modes or ("mean",), config.get("include_prompt") is not False)


def _default_prompt(config: Mapping[str, Any]) -> str:
    name, prompts = config.get("default_prompt_name"), config.get("prompts")
    prompt = prompts.get(name) if name is not None and isinstance(prompts, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _purposes(config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The prompts for questions and for passages, by the names that sentence-transformers looks for."""
    prompts = config.get("prompts")
    named = prompts if isinstance(prompts, dict) else {}

    def first(names: Sequence[str]) -> str | None:
        return next((named[name] for name in names if isinstance(named.get(name), str)), None)

    query, passage = first(("query",)), first(("document", "passage", "corpus"))
    if query is None and passage is None:
        return None, None
    return query or "", passage or ""


def _object(files: Mapping[str, Path], name: str) -> Mapping[str, Any]:
    value = _read(files, name)
    if not isinstance(value, dict):
        _refuse(name, "is damaged: no JSON object")
    return value


def _read(files: Mapping[str, Path], name: str) -> Any:
    if name not in files:
        _refuse(name, "is missing: it says how the model makes one vector of a text")
    if files[name].stat().st_size > _MAX_BYTES:
        _refuse(name, f"is longer than {_MAX_BYTES} bytes")
    try:
        return json.loads(files[name].read_bytes())
    except (ValueError, RecursionError) as error:
        _refuse(name, f"is damaged: {error}")


def _refuse(name: str, why: str) -> NoReturn:
    raise ModelLoadFailed(
        f"'{name}' {why}", hint="pull it again with --force, or choose another model", details={"file": name}
    )


def _unsupported(why: str, *, module: str) -> Unsupported:
    return Unsupported(
        f"the model makes embeddings in a way that is not supported: {why}",
        hint="choose a sentence encoder whose modules.json has Transformer, Pooling and Normalize alone",
        details={"file": MODULES_FILE, "module": module},
    )

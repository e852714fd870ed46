"""Models of other programs on this machine, and files of people: what could be imported. Reads only first bytes.

Whatever can't be read stands in the list with the reason. Nothing here follows a link into a circle or opens a pipe.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmspell_protocol.model_origins import SHOWN, Origin
from llmspell_providers.library.names import as_text
from llmspell_providers.library.ollama_models import ollama_models
from llmspell_providers.library.regular_file import Unreadable, reason_of, regular_status

MAGIC = b"GGUF"
MOST = 10_000
"""Models of one search; a directory with more is no directory of models."""
_DEEPEST = 8
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_QUANTIZATION = re.compile(
    r"(?:^|[-._])((?:ud-)?i?q\d(?:_[a-z0-9]+)*|tq\d_\d|mxfp4(?:_moe)?|nvfp4|bf16|f16|fp16|f32)(?=[-._]|$)",
    re.IGNORECASE,
)
_HUB_PLACE = re.compile(r"models--(?P<org>.+?)--(?P<repo>[^/]+)/snapshots/[^/]+")
_CACHED = re.compile(r"(?P<org>[^_]+)_(?P<repo>.+?-GGUF)_(?P<file>.+)\.gguf", re.IGNORECASE)
"""How llama.cpp names what it has fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importable:
    """A model that is on this machine: one file, all its parts, or a directory of safetensors.

    `path` is what an import is given: the (first) file or the directory. `sha256` is what its owner says of the file;
    `owner` is the program that keeps it, None for a file of a person. With a `problem` it can't be imported.
    `system_prompt` and `parameters` are the owner's, and an import does not take them.
    """

    name: str
    variant: str | None
    path: Path
    size_bytes: int
    files: int = 1
    owner: str | None = None
    sha256: str | None = None
    problem: str | None = None
    system_prompt: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What it would be called here."""
        return f"{self.name}:{self.variant}" if self.variant else self.name


def importable_in(paths: Sequence[Path], origin: Origin | None = None) -> list[Importable]:
    """What there is at or below some paths, by name; each file once. `origin` tells how its program arranges them."""
    found: dict[tuple[str, Path], Importable] = {}
    owner = SHOWN[origin] if origin else None
    for path in paths:
        models: Iterator[Importable]
        if origin == "ollama":
            models = (
                Importable(
                    name=one.name,
                    variant=one.variant,
                    path=one.path,
                    size_bytes=one.size_bytes,
                    owner=owner,
                    sha256=one.sha256,
                    problem=one.problem,
                    system_prompt=one.system_prompt,
                    parameters=one.parameters,
                )
                for one in ollama_models(path)
            )
        else:
            models = _below(path, origin, owner)
        for model in models:
            found.setdefault((model.id, model.path), model)
            if len(found) >= MOST:
                break
    return sorted(found.values(), key=lambda one: (one.id.lower(), str(one.path)))


def _below(path: Path, origin: Origin | None, owner: str | None) -> Iterator[Importable]:
    if path.is_file() or not path.is_dir():
        yield _of_file(path, [path], path, origin, owner)
        return
    for directory, names, problem in _walk(path):
        if problem is not None:
            yield Importable(
                name=as_text(directory.name), variant=None, path=directory, size_bytes=0, owner=owner, problem=problem
            )
            continue
        groups: dict[str, list[Path]] = {}
        for name in sorted(names):
            if name.lower().endswith(".gguf"):
                groups.setdefault(_SHARD.sub("", name), []).append(directory / name)
        for files in groups.values():
            yield _of_file(files[0], files, path, origin, owner)
        weights = [directory / name for name in names if name.endswith(".safetensors")]
        if weights and "config.json" in names:
            name, _ = _named(directory / "x", path, origin, is_directory=True)
            size, problem = _sizes(weights)
            yield Importable(
                name=name,
                variant="safetensors" if origin == "hf-cache" else None,
                path=directory,
                size_bytes=size,
                files=len(weights),
                owner=owner,
                problem=problem,
            )


def _walk(top: Path) -> Iterator[tuple[Path, list[str], str | None]]:
    """Directories with the names of their files, or why one can't be read; links to directories are not followed."""
    waiting = [(top, 0)]
    while waiting:
        directory, depth = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield directory, [], reason_of(error)
            continue
        shown = [entry for entry in listed if not entry.name.startswith(".")]
        if depth < _DEEPEST:
            below = [Path(one.path) for one in shown if one.is_dir(follow_symlinks=False)]
            waiting += [(one, depth + 1) for one in reversed(below)]
        yield directory, [one.name for one in shown if not one.is_dir(follow_symlinks=False)], None


def _of_file(first: Path, files: Sequence[Path], top: Path, origin: Origin | None, owner: str | None) -> Importable:
    name, variant = _named(first, top, origin)
    size, problem = _sizes(files)
    problem = problem or _missing_parts(files) or _no_model(first)
    return Importable(
        name=name, variant=variant, path=first, size_bytes=size, files=len(files), owner=owner, problem=problem
    )


def _named(file: Path, top: Path, origin: Origin | None, *, is_directory: bool = False) -> tuple[str, str | None]:
    """Name and variant: of a program's model those of the hub's repository, else the name of the file."""
    stem = as_text(_SHARD.sub("", file.name).removesuffix(".gguf"))
    quantization = _QUANTIZATION.findall(stem)
    variant = quantization[-1].upper() if quantization else None
    if origin == "hf-cache" and (place := _HUB_PLACE.search(str(file.parent))):
        return f"{place['org']}/{place['repo']}", variant
    if origin == "lmstudio":
        parts = file.parent.relative_to(top).parts if file.parent.is_relative_to(top) else ()
        if len(parts) >= 2:
            return f"{parts[0]}/{parts[1]}", variant
    if origin == "llama.cpp" and (cached := _CACHED.fullmatch(file.name)):
        return f"{cached['org']}/{cached['repo']}", variant
    return (as_text(file.parent.name) if is_directory else stem), None


def _sizes(files: Sequence[Path]) -> tuple[int, str | None]:
    size = 0
    for file in files:
        try:
            size += regular_status(file).st_size
        except FileNotFoundError:
            return size, "does not exist"
        except Unreadable as error:
            return size, str(error)
    return size, None


def _missing_parts(files: Sequence[Path]) -> str | None:
    part = _SHARD.search(files[0].name)
    if part is None:
        return None
    there = len(list(files[0].parent.glob(f"{_SHARD.sub('', files[0].name)}-*-of-{part[2]}.gguf")))
    return None if there == int(part[2]) else f"has {there} of its {int(part[2])} parts"


def _no_model(file: Path) -> str | None:
    """Why a file is no model of its own, as far as its name and its first bytes tell."""
    if "mmproj" in file.name.lower():
        return "is the part of another model that sees pictures, which candle can't use"
    if "imatrix" in file.name.lower():
        return "holds numbers for quantizing, and no model"
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(MAGIC))
    except OSError as error:
        return reason_of(error)
    return None if begins == MAGIC else "is not a GGUF file"

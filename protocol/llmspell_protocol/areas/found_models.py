"""Models that are not installed: what is on the machine already and could be imported, and what the hub has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.model_origins import Origin
from llmspell_protocol.structs import Struct


class ModelImportable(Struct):
    """What models there are at or below some paths of the kernel's machine, that an import could take.

    `paths` are whole ones. `origin` is the program that arranges them; absent: files and directories of people.
    """

    paths: Sequence[str]
    origin: Origin | None = None


class ImportableModel(Struct):
    """A model that is on the machine already."""

    id: str
    """what it would be called"""
    path: str
    """what an import of it is given"""
    size_bytes: int
    files: int
    """of weights"""
    owner: str | None
    """the program that keeps it"""
    installed: bool
    """a model of this name is there"""
    problem: str | None
    """why it can't be imported"""
    system_prompt: str | None
    """that its program gives it; an import does not take it"""
    parameters: Mapping[str, Any]
    """the same of its sampling parameters, under its program's names"""


class ModelImportableReply(Struct):
    """The models that an import could take, by name."""

    models: Sequence[ImportableModel]
    count: int


class ModelImport(Struct):
    """Use a model that is on the kernel's machine as it is, without a copy.

    `path` is a whole one: a GGUF file, the first of several parts, or a directory of safetensors. `name` is what it is
    to be called (`NAME[:VARIANT]`); absent: as the file. `force` replaces a model of this name.
    """

    path: str
    name: str | None = None
    origin: Origin | None = None
    force: bool = False


class ModelSearch(Struct):
    """Search the hub for GGUF repositories; `limit` at most, the most downloaded first."""

    words: str
    limit: int = 20


class HubRepository(Struct):
    """A repository of the hub; what it does not say of one is null."""

    name: str
    """can be pulled: `hf.co/ORG/REPO`"""
    downloads: int | None
    """in the last month"""
    license: str | None
    is_gated: bool
    """its owners want their terms accepted first"""
    parameter_count: int | None
    size_bytes: int | None
    """about what a pull takes, as Q4_K_M, from the parameters"""
    architecture: str | None
    context_length: int | None
    command: str
    """what pulls it"""


class ModelSearchReply(Struct):
    """What the hub has."""

    repositories: Sequence[HubRepository]
    count: int

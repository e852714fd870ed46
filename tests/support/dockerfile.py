"""A Dockerfile's stages and instructions, as far as ours use them. Runs nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction: `RUN`, `COPY`, …, and what stands behind it."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as words: a JSON list, or as a shell divides it."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True)
class Stage:
    """One stage: what it begins with, and its instructions in order."""

    name: str
    base: str
    instructions: Sequence[Instruction]


@dataclass
class Configuration:
    """What an image says about its containers."""

    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def take(self, instruction: Instruction) -> None:
        """Takes over an instruction that changes no file."""
        match instruction.word:
            case "ENV":
                pairs = (word.partition("=") for word in instruction.words)
                self.environment.update({name: value for name, _, value in pairs})
            case "WORKDIR":
                self.workdir = instruction.rest
            case "USER":
                self.user = instruction.rest
            case "VOLUME":
                self.volumes += instruction.words
            case "ENTRYPOINT":
                self.entrypoint, self.command = instruction.words, []
            case "CMD":
                self.command = instruction.words
            case "HEALTHCHECK":
                self.health = list(json.loads(instruction.rest.partition(" CMD ")[2]))


def stages(path: Path) -> Mapping[str, Stage]:
    """The stages by name, in order. `ARG` of the whole file and comments are passed over."""
    found: dict[str, Stage] = {}
    name, base, inside = "", "", list[Instruction]()
    for instruction in [*_instructions(path.read_text(encoding="utf-8")), Instruction("FROM", "")]:
        if instruction.word != "FROM":
            inside.append(instruction)
            continue
        if name:
            found[name] = Stage(name, base, tuple(inside))
        base, _, name = instruction.rest.partition(" AS ")
        inside = []
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", kept).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield Instruction(word, rest.strip())

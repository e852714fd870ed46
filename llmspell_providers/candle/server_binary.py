"""The user's own llama-server: where it is, whether it runs here, how old it is, its flags and its devices.

Knows the binary as a file that answers `--version`, `--help` and `--list-devices`, not as a server.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmspell_protocol.errors import ConfigError
from llmspell_protocol.exit_status import signal_name

NAME = "llama-server"
OLDEST_BUILD = 6800
"""llama.cpp of October 2025: from about then on a stream tells the progress of its prompt, a prompt that is too long is
an error with both numbers, and `--cache-ram` limits the memory for prompts."""
NEEDED = frozenset(
    {
        *("--model", "--alias", "--host", "--api-key-file", "--parallel", "--ctx-size", "--batch-size"),
        *("--ubatch-size", "--threads", "--threads-batch", "--n-gpu-layers", "--device"),
        *("--list-devices", "--embeddings", "--pooling", "--flash-attn", "--cache-ram", "--slot-prompt-similarity"),
        *("--jinja", "--no-webui"),
    }
)
"""Flags without which the engine can't be what it is."""
NGRAM_FLAGS = frozenset({"--spec-type", "--spec-ngram-simple-size-n", "--spec-ngram-simple-size-m"})

_DEADLINE_S = 60.0
"""For one look: a build for graphics cards may load a gigabyte of libraries from a slow disk."""
_BUILD = re.compile(r"^version:\s*b?(\d+)", re.MULTILINE)
_NUMBERED = 1000
"""Below this it is not the number of a release: builds of a source archive or a shallow clone are called 0 or 1."""
_ERROR_LEVEL = re.compile(r"\b1: error")
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
_DEVICE = re.compile(r"^\s+([A-Za-z]\w*): ", re.MULTILINE)
_NO_CARDS = ("BLAS", "AMX", "RPC", "CPU")
_KEY = "providers.candle.server_path"
_GET = "take a build from https://github.com/ggml-org/llama.cpp/releases and name it by providers.candle.server_path"
_BACK = 'or set providers.candle.engine = "xllamacpp", the default engine'


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A binary that can be used; `build` is llama.cpp's number, None where the binary was built without one."""

    path: Path
    build: int | None
    flags: frozenset[str]
    has_log_levels: bool
    """Whether 1 is its log level for errors; to builds before November 2025 it was the one for everything."""

    @property
    def has_ngram_drafts(self) -> bool:
        """Whether it can speculate, and lets the lengths be chosen."""
        return self.flags >= NGRAM_FLAGS

    @property
    def version(self) -> str:
        """The build as llama.cpp writes it."""
        return "unknown" if self.build is None else f"b{self.build}"

    def devices(self) -> list[str]:
        """Graphics cards that this build can use, by llama.cpp's names.

        Raises:
            ConfigError: the binary does not run.
        """
        names = _DEVICE.findall(_answer(self.path, "--list-devices"))
        return [name for name in names if not name.upper().startswith(_NO_CARDS)]


def find_server(configured: Path | None, search_path: str | None) -> Path | None:
    """The configured binary, else the one on the search path (the value of PATH)."""
    if configured is not None:
        return configured
    found = shutil.which(NAME, path=search_path)
    return None if found is None else Path(found)


def examine(path: Path | None) -> ServerBinary:
    """What a binary says about itself.

    Raises:
        ConfigError: there is none, it does not run on this machine, is too old or lacks a flag.
    """
    if path is None:
        raise _unusable("no llama-server was found on PATH")
    if not path.is_file():
        raise _unusable(f"there is no llama-server at {path}", path=path)
    if not os.access(path, os.X_OK):
        raise _unusable(f"{path} is not executable", f"chmod +x '{path}'", path=path)
    found = _BUILD.search(_answer(path, "--version"))
    build = int(found[1]) if found else 0
    if _NUMBERED <= build < OLDEST_BUILD:
        raise _unusable(
            f"{path} is too old: it is build {build} of llama.cpp, and {OLDEST_BUILD} or newer is needed", path=path
        )
    help_text = _answer(path, "--help")
    flags = frozenset(_FLAG.findall(help_text))
    check_flags(path, flags)
    number = build if build >= _NUMBERED else None
    return ServerBinary(path, number, flags, has_log_levels=_ERROR_LEVEL.search(help_text) is not None)


def check_flags(path: Path, flags: Iterable[str]) -> None:
    """Raises `ConfigError` where a needed flag is not among the binary's own."""
    missing = sorted(NEEDED.difference(flags))
    if len(missing) > len(NEEDED) / 2:
        raise _unusable(f"{path} is not a llama-server: its --help does not know {', '.join(missing[:3])} …", path=path)
    if missing:
        raise _unusable(
            f"{path} has no {' and no '.join(missing)}: it is older than build {OLDEST_BUILD}, or another program",
            path=path,
        )


def _answer(path: Path, question: str) -> str:
    """What the binary writes when it is asked; both streams, since builds differ in which one they use."""
    try:
        done = subprocess.run(
            [path, question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unusable(f"{path} {question} was not done after {_DEADLINE_S:g} s", path=path) from None
    except OSError as error:
        raise _unusable(f"{path} does not run on this machine: {error.strerror}", path=path) from error
    text = done.stdout.decode(errors="replace")
    if done.returncode == 0:
        return text
    if done.returncode == -signal.SIGILL or done.returncode == 128 + signal.SIGILL:
        raise _unusable(
            f"{path} was built for another CPU: it met an instruction that this one lacks",
            f"take a build for this CPU, {_BACK}",
            path=path,
        )
    last = text.strip().splitlines()[-1:] or ["it says nothing"]
    how = f"ends with {signal_name(-done.returncode)}" if done.returncode < 0 else f"ends with status {done.returncode}"
    raise _unusable(f"{path} {question} {how}: {last[0][:200]}", path=path)


def _unusable(message: str, hint: str = f"{_GET}, {_BACK}", *, path: Path | None = None) -> ConfigError:
    return ConfigError(message, hint=hint, details={"key": _KEY, "path": None if path is None else str(path)})

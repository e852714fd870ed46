"""Names of models, read from what lies on disk: manifests of installed ones, and the packaged catalog.

For completion alone, which has no time for a kernel. Reads the two fields of a manifest that make a name, and looks
into files that others write; whatever can't be read is left out, since a completion can't show an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmspell_profiles.loading.home import configuration_places, known_user_home, llmspell_home, user_home
from llmspell_profiles.loading.provenance import file_sets_nothing

_MODEL_DIRECTORY = "LLMSPELL_PROVIDERS__CANDLE__MODEL_DIRECTORY"
_OLLAMA_OF_A_SERVICE = Path("/usr/share/ollama/.ollama/models")
_OLLAMA_LIBRARY = Path("manifests/registry.ollama.ai/library")


def installed(
    env: Mapping[str, str], *, config: str | None = None, profile: str | None = None
) -> Iterator[tuple[str, str]]:
    """Every installed model's name and backend; `config` and `profile` are what the command line names."""
    directory = env.get(_MODEL_DIRECTORY) or (None if profile else _configured(env, config))
    yield from ((name, "candle") for name in sorted(_candle(_absolute(directory, env))))
    user = known_user_home(env)
    places = [Path(env["OLLAMA_MODELS"])] if env.get("OLLAMA_MODELS") else [user / ".ollama" / "models"] if user else []
    for place in (*places, _OLLAMA_OF_A_SERVICE):
        yield from ((name, "ollama") for name in sorted(_ollama(place / _OLLAMA_LIBRARY)))


def catalog() -> Iterator[tuple[str, str]]:
    """What candle can pull by name."""
    # The catalog is a data file beside the providers, which a completion must not import.
    from importlib.util import find_spec

    spec = find_spec("llmspell_providers")
    for place in spec.submodule_search_locations or () if spec else ():
        for model in _toml(Path(place) / "library" / "catalog.toml").get("model", ()):
            yield model["name"], "candle"


def _candle(directory: Path) -> Iterator[str]:
    for path in directory.glob("*/*/manifest.json"):
        try:
            manifest = json.loads(path.read_bytes())
            name, variant = manifest["name"], manifest.get("variant")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        yield f"{name}:{variant}" if variant else str(name)


def _ollama(library: Path) -> Iterator[str]:
    # A tag is a file below the model's directory. A service's directory may be closed to us.
    if os.access(library, os.R_OK | os.X_OK):
        yield from (f"{path.parent.name}:{path.name}" for path in library.glob("*/*") if path.is_file())


def _absolute(directory: str | None, env: Mapping[str, str]) -> Path:
    return llmspell_home(env) / "models" / "candle" if directory is None else in_home(directory, env)


def _configured(env: Mapping[str, str], config: str | None) -> str | None:
    """The model directory that the configuration file in force sets, as it is written there."""
    providers = configuration(env, config).get("providers")
    for table in providers.values() if isinstance(providers, dict) else ():
        directory = table.get("model_directory") if isinstance(table, dict) else None
        if isinstance(directory, str):
            return directory
    return None


def configuration(env: Mapping[str, str], config: str | None) -> Mapping[str, Any]:
    """What the configuration file in force says, alone; nothing where there is none, or it can't be read."""
    named = config or env.get("LLMSPELL_CONFIG")
    places = [Path(named)] if named else configuration_places(env, llmspell_home(env))
    there = [place for place in places if place.is_file()]
    first = next((place for place in there if place.is_absolute() or named or not file_sets_nothing(str(place))), None)
    return _toml(first) if first is not None else {}


def in_home(directory: str, env: Mapping[str, str]) -> Path:
    """A directory as a setting writes it."""
    if directory.startswith("~/"):
        return user_home(env) / directory[2:]
    return Path(directory.replace("${HOME}", str(user_home(env))) if "${HOME}" in directory else directory)


def _toml(path: Path) -> dict[str, Any]:
    # 10 ms that only those with a file pay.
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}

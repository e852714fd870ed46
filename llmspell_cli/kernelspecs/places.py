"""Where kernelspecs stand, and which of them are ours. Reads files, changes none."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llmspell_cli.invocation import working_directory
from llmspell_protocol.errors import InvalidRequest, LlmspellError

DEFAULT_NAME = "llmspell"
SHARED_MODULE = "llmspell_cli.notebook_door"
OWN_MODULE = "llmspell_kernel"
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,99}\Z", re.IGNORECASE)
"""Jupyter's own rule without `..`, and what would be hidden or be read as an option."""


class Kernelspec(NamedTuple):
    """One of ours."""

    name: str
    directory: Path
    display_name: str
    kind: Literal["shared", "own"]
    """Whether its notebooks share a kernel, or have one each."""
    argv: Sequence[str]
    environment: dict[str, str]

    @property
    def profile(self) -> str | None:
        """The profile that its kernels start with."""
        return self._after("--profile")

    @property
    def config(self) -> str | None:
        """The configuration file that its kernels start with."""
        return self._after("--config")

    @property
    def configuration(self) -> str | None:
        """The profile or the file."""
        return self.profile or self.config

    def _after(self, option: str) -> str | None:
        return self.argv[self.argv.index(option) + 1] if option in self.argv[:-1] else None

    @property
    def problem(self) -> str | None:
        """Why no notebook would start; None where nothing is known to be wrong."""
        if not os.access(self.argv[0], os.X_OK):
            return f"it starts {self.argv[0]}, which is not there"
        try:
            demand_configuration(self.profile, self.config, self.environment)
        except LlmspellError as error:
            return error.message
        return None


def demand_configuration(profile: str | None, config: str | None, variables: Mapping[str, str]) -> None:
    """Reads the configuration that kernels of a kernelspec start with, where it names one, as they will.

    Raises:
        LlmspellError: what a kernel would end with: no such profile, no such file, a wrong setting.
    """
    if profile is None and config is None:
        return
    # Most kernelspecs name none.
    from llmspell_profiles.loading.loader import load_trusted

    load_trusted(
        profile=profile,
        config=None if config is None else Path(config),
        env={**os.environ, **variables},
        cwd=Path(working_directory()),
        flags=None,
    )


def demand_name(name: str) -> None:
    """Raises `InvalidRequest` for what Jupyter would not take as a kernelspec's name, or is no name of a directory."""
    if not _NAME.match(name):
        raise InvalidRequest(
            f"'{name}' is not a kernelspec name: up to 100 letters, digits, '.', '_' and '-' are possible",
            hint="it begins with a letter or a digit",
        )


def kernels_directory(prefix: str | None) -> Path:
    """The directory of kernelspecs below a prefix; the user's without one (Jupyter's own rules for `jupyter_path`).

    Raises:
        InvalidRequest: the prefix is empty, as that of a variable that is not set.
    """
    if prefix is not None:
        if not prefix:
            raise InvalidRequest("--prefix is empty", hint="name a directory: --prefix env")
        return Path(working_directory(), prefix) / "share" / "jupyter" / "kernels"
    # Needed only where no directory is named.
    from llmspell_profiles.loading.home import user_home

    data = os.environ.get("JUPYTER_DATA_DIR")
    if data:
        return Path(data) / "kernels"
    if sys.platform == "darwin":
        return user_home(os.environ) / "Library" / "Jupyter" / "kernels"
    share = os.environ.get("XDG_DATA_HOME") or user_home(os.environ) / ".local" / "share"
    return Path(share) / "jupyter" / "kernels"


def searched_directories() -> list[Path]:
    """Where the Jupyter of this environment looks for kernelspecs; of two with one name it takes the first."""
    # Jupyter's own rules for its directories; 30 ms.
    from jupyter_core.paths import jupyter_path

    return [Path(place) for place in dict.fromkeys(jupyter_path("kernels"))]


def kernelspecs(places: Iterable[Path]) -> list[Kernelspec]:
    """Our kernelspecs in these directories, by name in each; what can't be read is none."""
    return [found for place in places for found in _in(place)]


def read(directory: Path) -> Kernelspec | None:
    """The kernelspec in a directory; None where it is not ours or can't be read."""
    try:
        content = json.loads((directory / "kernel.json").read_bytes())
    except (OSError, ValueError):
        return None
    argv = content.get("argv") if isinstance(content, dict) else None
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        return None
    if SHARED_MODULE not in argv and OWN_MODULE not in argv:
        return None
    return Kernelspec(
        name=directory.name,
        directory=directory,
        display_name=str(content.get("display_name", directory.name)),
        kind="shared" if SHARED_MODULE in argv else "own",
        argv=argv,
        environment=_texts(content.get("env")),
    )


def _in(place: Path) -> Iterator[Kernelspec]:
    for path in sorted(place.glob("*/kernel.json")):
        found = read(path.parent)
        if found is not None:
            yield found


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}

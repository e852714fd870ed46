"""Where kernelspecs stand, and which of them are ours. Reads files, changes none."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llmspell_cli.invocation import working_directory
from llmspell_protocol.errors import InvalidRequest

DEFAULT_NAME = "llmspell"
SHARED_MODULE = "llmspell_cli.notebook_door"
OWN_MODULE = "llmspell_kernel"
_NAME = re.compile(r"[a-z0-9._-]+\Z", re.IGNORECASE)


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
    def works(self) -> bool:
        """Whether the Python that it starts is there."""
        return os.access(self.argv[0], os.X_OK)

    @property
    def configuration(self) -> str | None:
        """The profile or the file that its kernels start with."""
        for option in ("--profile", "--config"):
            if option in self.argv[:-1]:
                return self.argv[self.argv.index(option) + 1]
        return None


def demand_name(name: str) -> None:
    """Raises `InvalidRequest` for what Jupyter would not take as a kernelspec's name."""
    if not _NAME.match(name):
        raise InvalidRequest(f"'{name}' is not a kernelspec name: letters, digits, '.', '_' and '-' are possible")


def kernels_directory(prefix: str | None) -> Path:
    """The directory of kernelspecs below a prefix; the user's without one (Jupyter's own rules for `jupyter_path`)."""
    if prefix is not None:
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

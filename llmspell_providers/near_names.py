"""Names that are nearly a given one, among those that are installed, offered or in the catalog. Asks no server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmspell_protocol.errors import ModelNotFound
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.models import LocalModel

_NEAR = 0.84
"""How alike two names are (difflib's ratio): one letter of six or more is wrong, or two are swapped."""


def nearest(spec: ModelSpec, installed: Iterable[tuple[str, str]]) -> str | None:
    """The installed model, of `(id, backend)`, that a name almost spells; with its backend where the name has one."""
    # Only a name that is wrong needs it.
    from difflib import SequenceMatcher

    wanted = spec.name.lower()

    def likeness(model_id: str) -> float:
        # `smolm2` may be meant for `smollm2:135m`: a name without a tag is compared with names without theirs.
        name = model_id if ":" in wanted else model_id.partition(":")[0]
        return SequenceMatcher(None, wanted, name.lower()).ratio()

    best = max(installed, key=lambda one: likeness(one[0]), default=None)
    if best is None or likeness(best[0]) < _NEAR:
        return None
    return f"{best[0]}@{best[1]}" if spec.backend else best[0]


def nearest_offered(spec: ModelSpec, offered: Iterable[LocalModel]) -> str | None:
    """The model of a server, as lists show it (`box/stubby`), that a name spells or almost spells without its server.

    A name is typed without it by those who see it in a list.
    """
    full = {one.id.removeprefix(f"{one.backend}/"): one.id for one in offered}
    found = nearest(spec, [(name, "") for name in full])
    return None if found is None else full[found]


def not_pulled_anywhere(spec: ModelSpec, candle: str, down: tuple[str, str | None] | None) -> ModelNotFound:
    """The error of a pull whose name candle's catalog lacks; `down` is the Ollama that can't be asked, and why not."""
    ways = ["llmspell model available", "hf.co/ORG/REPO for a repository"]
    if down is not None:
        ways.insert(1, f"start Ollama ({down[1]})")
    error = ModelNotFound(
        f"Model '{spec}' not found: {candle}'s catalog does not have it"
        + (f", and {down[0]} is not running" if down else ""),
        hint=", or ".join(ways),
        details={"model": str(spec), "searched": [*([down[0]] if down else []), candle]},
    )
    if (similar := similar_in_catalog(spec)) is not None:
        error.details["similar"] = similar
        error.hint = f"did you mean '{similar}'? {error.hint}"
    return error


def similar_in_catalog(spec: ModelSpec) -> str | None:
    """The name of the catalog that is nearly this one."""
    return nearest(spec, catalog_names())


def of_its_family(spec: ModelSpec, models: Iterable[tuple[str, str]]) -> str | None:
    """The model, of `(id, backend)`, that is most like a name and begins with the same word before a version or tag."""
    # Only a name that is wrong needs them.
    import re
    from difflib import SequenceMatcher

    wanted = spec.name.lower()
    family = re.match(r"([a-z]{2,})(?=[-_.:\d])", wanted)
    if family is None:
        return None
    same = [name for name, _ in models if re.match(rf"{family[1]}(?![a-z])", name.lower())]
    return max(same, key=lambda name: SequenceMatcher(None, wanted, name.lower()).ratio(), default=None)


def catalog_names() -> list[tuple[str, str]]:
    """Id and backend of every entry."""
    from llmspell_providers.library.catalog import Catalog

    return [(entry.id, entry.backend) for entry in Catalog.load().entries]

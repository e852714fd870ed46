"""Which clients and script contexts have used which models. Knows their names, neither what they are nor models."""

from __future__ import annotations

from collections.abc import Container


class ModelUsers:
    """The models that each has used, until it has ended; belongs to the loop."""

    def __init__(self) -> None:
        self._models: dict[str, dict[tuple[str, str], None]] = {}

    def uses(self, client: str, backend: str, model: str) -> None:
        """A client or script context asks a model of a backend."""
        self._models.setdefault(client, {})[backend, model] = None

    def forget(self, client: str) -> None:
        """It has ended."""
        self._models.pop(client, None)

    def of(self, clients: Container[str]) -> list[tuple[str, str]]:
        """The models that any of these has used, as (backend, model), in the order of first use."""
        found = {model: None for client, models in self._models.items() if client in clients for model in models}
        return list(found)

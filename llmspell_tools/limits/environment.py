"""The environment variables of one call: the client's, as far as they may be read, never the worker's own."""

from __future__ import annotations

from collections.abc import Mapping

from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.permissions import Permissions, denied


class Environment:
    """The variables that a call may read."""

    def __init__(self, permissions: Permissions) -> None:
        self._names = frozenset(permissions.env)
        self._variables = permissions.variables

    def get(self, name: str) -> str | None:
        """The value of a variable; None where the client has none of this name.

        Raises:
            Forbidden: the call may not read it.
        """
        if not self.may(name):
            raise denied("env", name)
        return self._variables.get(name)

    def all(self) -> Mapping[str, str]:
        """Every variable that may be read."""
        return {name: value for name, value in sorted(self._variables.items()) if self.may(name)}

    def may(self, name: str) -> bool:
        """Whether the call may read a variable."""
        return not self._names.isdisjoint((name, EVERYTHING))

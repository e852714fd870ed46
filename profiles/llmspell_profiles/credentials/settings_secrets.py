"""The secrets that stand in the configuration itself: what must be taken out of everything that is kept or exported."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_profiles.credentials.redaction import Redactor

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


def secrets_in(settings: "Settings") -> Sequence[str]:
    """The values of its keys that are marked as secret; tables that nothing mentions are not made for it."""
    found = [table.api_key for table in settings.providers.tables.values() if table.api_key]
    if "tools" in settings.given:
        found += _secrets_of(settings.tools)
    return found


def redactor(settings: "Settings", environment: Mapping[str, str]) -> Redactor:
    """What takes the secrets of a kernel out of all that it keeps, exports or has followed."""
    return Redactor.of_environment(environment, secrets_in(settings))


def _secrets_of(table: Any) -> list[str]:
    """Those of a table, and of the tables in it."""
    found: list[str] = []
    for name, value in table.items():
        field = table.FIELDS.get(name)
        if hasattr(value, "FIELDS"):
            found += _secrets_of(value)
        elif field is not None and field.secret and isinstance(value, str):
            found.append(value)
    return found

"""What every table of the settings schema is: a frozen pydantic model that takes TOML's types as they are."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of the configuration. Unknown keys are refused: the loader takes them out first, with a warning."""

    # The whole tree is built once, when the outermost table validates; each class by itself would cost start-up.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True, allow_inf_nan=False)


def subtable(description: str) -> Any:
    """A field that holds a table; when it is left out, the table with its defaults."""
    return Field(default_factory=dict, validate_default=True, description=description)

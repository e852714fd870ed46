"""The table `[engines.javascript]`."""

from typing import Annotated

from llmspell_profiles.schema.table import Field, IdleTable
from llmspell_profiles.schema.values import High, SecurityLevel, Size, words


class JavaScriptSettings(IdleTable):
    """`[engines.javascript]`"""

    strict_mode: bool = Field(default=True, description="strict mode")
    max_heap_size_bytes: Annotated[Size, High(1_000_000_000)] = Field(
        default=50_000_000, ge=1, description="heap of one context, in bytes"
    )
    enable_console: bool = Field(default=True, description="console.*")
    timeout_ms: int = Field(
        default=30_000, ge=1, description="time a script may compute without calling out, in milliseconds"
    )
    security_level: Annotated[SecurityLevel, words(SecurityLevel)] = Field(
        default="Safe", description="sandbox strength"
    )

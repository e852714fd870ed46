"""The table `[runtime.state_persistence]`: where scripts' state lives, and copies of it."""

from pathlib import Path
from typing import Annotated, Literal

from llmspell_profiles.schema.table import Field, Table, subtable
from llmspell_profiles.schema.values import (
    Before,
    FilePath,
    High,
    Idle,
    NeedsTrust,
    Size,
    keeping,
    no_other_store,
    words,
)

StateBackend = Literal["memory", "sqlite"]
Compression = Literal["zstd", "gzip", "lz4", "none"]


class BackupSettings(Table):
    """`[runtime.state_persistence.backup]`"""

    backup_dir: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("~/.llmspell/backups"), check_default=True, description="target directory"
    )
    compression_enabled: bool = Field(default=True, description="compress")
    compression_type: Annotated[Compression, words(Compression)] = Field(
        default="zstd", description="method; lz4 is not part of this version: zstd and a warning"
    )
    compression_level: int = Field(default=3, ge=1, le=9, description="level")
    incremental_enabled: Annotated[bool, Idle()] = Field(
        default=True, description="only changed keys; every backup is whole"
    )
    max_backups: Annotated[int, keeping(10)] = Field(default=10, ge=1, description="keep at most, of each client key")
    max_backup_age: Annotated[int, keeping(2_592_000)] = Field(
        default=2_592_000, ge=0, description="delete older ones, in seconds"
    )


class StateSettings(Table):
    """`[runtime.state_persistence]`"""

    enabled: bool = Field(default=True, description="the State global and state commands")
    backend_type: Annotated[StateBackend, words(StateBackend), Before(no_other_store)] = Field(
        default="memory", description="where state lives; memory ends with the kernel"
    )
    path: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("~/.llmspell/state.db"), check_default=True, description="SQLite file"
    )
    migration_enabled: bool = Field(default=False, description="run registered migrations")
    backup_on_migration: bool = Field(default=True, description="copy before migrating")
    backup_enabled: bool = Field(default=False, description="a backup when the kernel stops")
    schema_directory: Annotated[FilePath | None, NeedsTrust()] = Field(
        default=None, description="JSON Schemas for state values"
    )
    max_state_size_bytes: Annotated[Size, High(100_000_000)] = Field(
        default=10_000_000, ge=1, description="one key's value, in bytes"
    )
    backup: BackupSettings = subtable("copies of the state")

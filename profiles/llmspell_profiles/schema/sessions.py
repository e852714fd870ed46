"""The table `[runtime.sessions]`: recorded sessions and their artifacts."""

from pathlib import Path
from typing import Annotated, Literal

from llmspell_profiles.schema.table import Field, Table
from llmspell_profiles.schema.values import Before, FilePath, NeedsTrust, Size, keeping, no_other_store, words

SessionBackend = Literal["memory", "sqlite"]


class SessionsSettings(Table):
    """`[runtime.sessions]`"""

    enabled: bool = Field(default=False, description="record every request; the Session and Artifact globals")
    max_sessions: Annotated[int, keeping(100)] = Field(
        default=100, ge=1, description="kept at the same time of each key; the longest unused go first"
    )
    max_age_seconds: Annotated[int, NeedsTrust()] = Field(
        default=0, ge=0, description="unused sessions are kept so long, in seconds; 0: for ever"
    )
    max_bytes: Annotated[Size, keeping(1_000_000_000, or_none=True)] = Field(
        default=1_000_000_000, ge=0, description="what all sessions of a key take, as kept; 0: no limit"
    )
    max_artifacts_per_session: int = Field(default=1000, ge=1, description="artifacts of a session")
    artifact_compression_threshold: Size = Field(
        default=10_240, ge=0, description="larger artifacts are compressed, in bytes"
    )
    session_timeout_seconds: int = Field(
        default=3600, ge=1, description="an idle session becomes suspended, in seconds"
    )
    storage_backend: Annotated[SessionBackend, words(SessionBackend), Before(no_other_store)] = Field(
        default="memory", description="where sessions live"
    )
    path: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("~/.llmspell/sessions.db"),
        check_default=True,
        description="SQLite file; sessions that a command names are kept there in any case",
    )

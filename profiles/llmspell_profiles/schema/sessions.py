"""The table `[runtime.sessions]`: recorded sessions and their artifacts."""

from pathlib import Path
from typing import Annotated, Literal

from llmspell_profiles.schema.table import Field, IdleTable
from llmspell_profiles.schema.values import FilePath, Size, words

SessionBackend = Literal["memory", "sqlite"]


class SessionsSettings(IdleTable):
    """`[runtime.sessions]`"""

    enabled: bool = Field(default=False, description="the Session global, recording, session commands")
    max_sessions: int = Field(default=100, ge=1, description="kept at the same time")
    max_artifacts_per_session: int = Field(default=1000, ge=1, description="artifacts of a session")
    artifact_compression_threshold: Size = Field(
        default=10_240, ge=0, description="larger artifacts are compressed, in bytes"
    )
    session_timeout_seconds: int = Field(
        default=3600, ge=1, description="an idle session becomes suspended, in seconds"
    )
    storage_backend: Annotated[SessionBackend, words(SessionBackend, {"sled": "sqlite"})] = Field(
        default="memory", description="where sessions live"
    )
    path: FilePath = Field(default=Path("~/.llmspell/sessions.db"), check_default=True, description="SQLite file")

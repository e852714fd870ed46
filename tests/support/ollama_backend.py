"""The Ollama backend on some address, with pauses between its attempts that a test can wait for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from llmspell_profiles.schema.providers import OllamaSettings
from llmspell_providers.ollama.provider import OllamaProvider
from tests.support.settings import settings_from


def ollama_backend(
    base_url: str, home: Path, extra: str = "", environment: Mapping[str, str] | None = None
) -> OllamaProvider:
    """The backend as a kernel has it; `extra` are further lines of its table."""
    quick = "" if "retry" in extra else "retry = {initial_delay_ms = 1, max_delay_ms = 2}\n"
    settings = settings_from(f'[providers.ollama]\nbase_url = "{base_url}"\n{quick}{extra}', home)
    table = cast("OllamaSettings", settings.providers.enabled["ollama"])
    return OllamaProvider("ollama", table, log_directory=home, environment=environment or {})

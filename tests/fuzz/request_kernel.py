"""The kernel that requests are tried on: the mock, a small real model, a vendor without a key; no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.kernels import KernelProcess
from tests.support.models import smollm2

_CONFIG = """
[providers]
default_provider = "candle"
[providers.candle]
default_model = "small"
context_size = 256
max_tokens = 4
model_directory = "{models}"
[providers.openai]
base_url = "http://127.0.0.1:9/v1"
api_key_env = "LLMSPELL_NO_SUCH_KEY"
max_retries = 0
[runtime.state_persistence]
backend_type = "sqlite"
migration_enabled = true
[runtime.sessions]
enabled = true
storage_backend = "sqlite"
max_sessions = 3
[runtime.security]
max_execution_time_ms = 5000
allow_file_access = true
"""
_NOWHERE = "http://127.0.0.1:9"
_ENVIRONMENT = {
    "HF_ENDPOINT": _NOWHERE,
    "HF_HUB_OFFLINE": "1",
    "PIP_INDEX_URL": _NOWHERE,
    "PIP_RETRIES": "0",
    "PIP_DEFAULT_TIMEOUT": "1",
    "HTTPS_PROXY": _NOWHERE,
}


@contextmanager
def trial_kernel(directory: Path) -> Iterator[KernelProcess]:
    """A kernel of its own, whose files are below the directory; it ends in order."""
    home = directory / "home"
    home.mkdir(mode=0o700)
    config = home / "config.toml"
    config.write_text(_CONFIG.format(models=home / "models"))
    environment = {**_ENVIRONMENT, "LLMSPELL_HOME": str(home)}
    kernel = KernelProcess(["--daemon", "--config", str(config)], env=environment)
    try:
        _pull_small_model(kernel, directory)
        yield kernel
    finally:
        kernel.stop()


def _pull_small_model(kernel: KernelProcess, directory: Path) -> None:
    file = directory / "small.gguf"
    shutil.copyfile(smollm2(), file)
    client = kernel.client()
    try:
        client.request("model_request", {"action": "pull", "model": f"file://{file}"}).result(60)
    finally:
        client.close()
    file.unlink()

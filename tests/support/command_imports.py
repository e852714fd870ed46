"""Which modules a command imports, as a process of its own tells."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "asyncio",
    "pathlib",
    "pydantic",
    "rich",
    "httpx",
    "httpx2",
    "jsonschema",
    "jupyter_client",
    "huggingface_hub",
    "ollama",
    "lupa",
    "prompt_toolkit",
    "pygments",
    "psutil",
    "logging",
    "email",
    "difflib",
    "importlib.metadata",
    "llmspell_kernel",
    "llmspell_providers",
    "llmspell_profiles.schema.settings",
    "llmspell_profiles.loading.loader",
    "llmspell_protocol.models",
    "llmspell_protocol.areas.agent",
    "llmspell_protocol.areas.kernel",
    "llmspell_protocol.areas.model",
    "llmspell_protocol.areas.tool",
    "llmspell_protocol.tools.builtin",
    "llmspell_protocol.tools.description",
}
"""Modules that a command imports only where it needs them: each takes milliseconds."""

PROBE = """
import json, sys
import click, zmq
before = set(sys.modules)
from llmspell_cli.root import run
status = run(json.loads(sys.argv[1]))
print(json.dumps([status, sorted(set(sys.modules) - before)]), file=sys.__stderr__)
"""


def imported(*words: str) -> tuple[int, set[str]]:
    """Exit status of a command and the modules that it imports beyond click and zmq."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words)], capture_output=True, text=True, check=True, timeout=60
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    return status, set(modules)

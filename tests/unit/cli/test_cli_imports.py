"""What a command imports before it does its work: a budget of modules, since start-up is a feature."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "asyncio",
    "pydantic",
    "rich",
    "httpx",
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
    "llmspell_protocol.areas.agent",
    "llmspell_protocol.areas.kernel",
    "llmspell_protocol.areas.model",
    "llmspell_protocol.models",
}

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


@pytest.mark.parametrize("words", [("--help",), ("model", "--help"), ("kernel", "--help")], ids=" ".join)
def test_help_of_a_group_loads_neither_its_commands_nor_the_client(words: tuple[str, ...]) -> None:
    status, modules = imported(*words)
    assert status == 0
    assert {name for name in modules if name.startswith("llmspell_")} <= {
        "llmspell_cli",
        "llmspell_cli.root",
        "llmspell_cli.groups",
        "llmspell_cli.examples",
        "llmspell_cli.invocation",
        "llmspell_cli.options",
        "llmspell_cli.commands",
        "llmspell_cli.commands.model",
        "llmspell_cli.commands.kernel",
        "llmspell_protocol",
        "llmspell_protocol.errors",
    }
    assert modules & HEAVY == set()


def test_a_connected_command_loads_only_the_client(home: object) -> None:
    """Up to the attempt to connect; the only heavy-looking parts are those of the error that follows."""
    status, modules = imported("--connect", "llmspell://127.0.0.1:1?key=k", "model", "status")
    assert status == 4
    assert modules & HEAVY == set()

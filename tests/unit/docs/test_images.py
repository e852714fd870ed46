"""The images' files as texts: what goes in, what is typed in them, and that compose opens no port of the kernel."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmspell_providers.ollama.server import OLDEST
from tests.support.command_tree import parsed
from tests.support.dockerfile import Configuration, stages
from tests.support.snippets import ROOT

DOCKERFILES = [ROOT / "docker" / name for name in ("Dockerfile", "cuda.Dockerfile")]


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    return found


def _configuration(path: Path) -> Configuration:
    configuration = Configuration()
    for instruction in stages(path)["llmspell"].instructions:
        configuration.take(instruction)
    return configuration


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_everything_that_is_installed_is_copied_and_let_through(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.partition("/")[0] for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    copied = {
        word
        for instruction in stages(path)["build"].instructions
        if instruction.word == "COPY"
        for word in instruction.words[:-1]
    }
    assert copied == {*packages, "pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_typed_in_an_image_is_understood(path: Path) -> None:
    configuration = _configuration(path)
    assert configuration.user == "1000:1000"
    assert configuration.entrypoint == ["llmspell"]
    parsed(configuration.command)
    assert configuration.health[0] == "llmspell"
    parsed(configuration.health[1:])


def test_probes_of_the_page_and_health_checks_are_the_same() -> None:
    page = (ROOT / "docs" / "guide" / "docker.md").read_text(encoding="utf-8")
    probes = [found.split(", ") for found in re.findall(r"exec: \{command: \[([^\]]+)\]\}", page)]
    checks = [_configuration(path).health for path in DOCKERFILES]
    assert len(probes) == 3
    assert all(words == checks[0] for words in (*probes, *checks))
    assert f"`{shlex.join(checks[0])}`" in page


def test_the_kernel_of_compose_opens_no_port_and_shares_its_files_with_jupyterlab(services: dict[str, Any]) -> None:
    assert "ports" not in services["kernel"]
    assert services["lab"]["ports"] == ["127.0.0.1:8888:8888"]
    assert set(services["kernel"]["volumes"]) <= set(services["lab"]["volumes"])
    kernel = _configuration(DOCKERFILES[0])
    lab = stages(DOCKERFILES[0])["lab"]
    named = kernel.command[kernel.command.index("--id") + 1]
    assert services["lab"]["environment"]["LLMSPELL_CONNECT"] == named
    assert any(f"kernel-{named}.json" in instruction.rest for instruction in lab.instructions)
    assert "ipc" in kernel.command


def test_compose_s_ollama_is_one_that_can_be_used(services: dict[str, Any]) -> None:
    version = services["ollama"]["image"].partition(":")[2]
    assert [int(part) for part in version.split(".")] >= list(OLDEST)


def test_the_services_of_cards_are_those_of_compose(services: dict[str, Any]) -> None:
    cards = yaml.safe_load((ROOT / "docker" / "compose.cuda.yaml").read_text())["services"]
    assert set(cards) <= set(services)
    assert json.dumps(cards).count("nvidia") == 2

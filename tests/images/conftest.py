"""The images that tests ask for, made once, and volumes for their containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.image_roots import Image, Images
from tests.support.snippets import ROOT


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The images of `docker/Dockerfile`."""
    images = Images(ROOT / "docker" / "Dockerfile", tmp_path_factory.mktemp("images"))
    yield images
    images.close()


@pytest.fixture
def image(images: Images) -> Image:
    """The kernel's image."""
    return images.image("llmspell")


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, Path]:
    """Empty volumes as Docker makes them: with the owner and mode that the image's directory has."""
    found = {}
    for name in ("data", "run/llmspell"):
        directory = tmp_path / name.replace("/", "-")
        directory.mkdir(mode=0o700)
        os.chown(directory, 1000, 1000)
        found[f"/{name}"] = directory
    return found

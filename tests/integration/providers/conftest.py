"""Torch engines that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.torch_engine import LoadedEngine, loaded
from tests.support.torch_models import TinyT5


@pytest.fixture(scope="module")
def t5(tiny_t5: TinyT5) -> Iterator[LoadedEngine]:
    """The T5 that was trained for these tests, from one file."""
    with loaded(tiny_t5.single) as engine:
        yield engine


@pytest.fixture(scope="module")
def smollm2(smollm2_safetensors: Path) -> Iterator[LoadedEngine]:
    """SmolLM2, with batches of up to 32 requests."""
    with loaded(smollm2_safetensors, batch_size=32) as engine:
        yield engine

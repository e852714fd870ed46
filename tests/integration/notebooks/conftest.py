"""An installed kernelspec, kernels under a real frontend, and their clients in both encodings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import (
    DEADLINE_S,
    Frontend,
    llmspell,
    run_cell,
)


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Frontend:
    """An installed kernelspec."""
    return Frontend(tmp_path_factory.mktemp("jupyter"))


@pytest.fixture(scope="module")
def manager(frontend: Frontend) -> Iterator[KernelManager]:
    """A kernel that the tests of this module share, its script worker running."""
    with frontend.kernel() as running:
        with frontend.client(running) as first:
            # Otherwise the cell may be over before its output is subscribed to.
            first.wait_for_ready(timeout=DEADLINE_S)
            run_cell(first, "return 1")
        yield running


@pytest.fixture(params=["json", "msgpack"])
def client(request: pytest.FixtureRequest, frontend: Frontend, manager: KernelManager) -> Iterator[Client]:
    """A client of the shared kernel, in each encoding."""
    with frontend.client(manager, request.param) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield connected


@pytest.fixture
def own(frontend: Frontend) -> Iterator[tuple[KernelManager, Client]]:
    """A kernel for one test, and its client."""
    with frontend.kernel() as running, frontend.client(running) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield running, connected


@pytest.fixture(scope="module")
def small_model(frontend: Frontend, smollm2_path: Path) -> str:
    """The real small model, installed in the frontend's home under the notebook's name; returns the spec."""
    file = frontend.home.parent / "smollm2.gguf"
    shutil.copyfile(smollm2_path, file)
    llmspell("model", "pull", file.as_uri(), environment=frontend.environment)
    return "local/smollm2@candle"

"""Fixtures of the agents' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kernels import KernelProcess


@pytest.fixture
def start(home: Path) -> Iterator[Callable[[str], KernelProcess]]:
    """Starts a kernel with these settings; it ends with the test."""
    kernels: list[KernelProcess] = []

    def start_kernel(settings: str) -> KernelProcess:
        path = home / "agents.toml"
        path.write_text(settings)
        kernels.append(KernelProcess(["--config", str(path)], env={"LLMSPELL_HOME": str(home)}))
        return kernels[-1]

    yield start_kernel
    for kernel in kernels:
        kernel.stop()

"""Fixtures of the kernel's tests: kernels that say what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmspell_protocol.connection import Transport
from llmspell_protocol.messages import Message
from tests.support.client_scenes import Start
from tests.support.scripted_kernel import Answer, ScriptedKernel


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts scripted kernels that end with the test."""
    kernels: list[ScriptedKernel] = []

    def start_kernel(transport: Transport, script: Callable[[Message], Iterator[Answer]], **options: Any) -> Any:
        kernel = ScriptedKernel(transport, tmp_path_factory.mktemp("k"), script, **options)
        kernels.append(kernel)
        return kernel

    yield start_kernel
    for kernel in kernels:
        kernel.close()
        kernel.context.term()

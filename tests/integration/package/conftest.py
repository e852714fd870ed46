"""A kernel that the tests of the Python package share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_cases import write_files
from tests.support.kernels import KernelProcess
from tests.support.leftovers import Traces, left_since


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for the kernel of a module, beside files such as a tiny model."""
    directory = tmp_path_factory.mktemp("package")
    write_files(directory)
    home = directory / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    home.chmod(0o700)
    return home


@pytest.fixture(scope="module")
def shared_kernel(shared_home: Path) -> Iterator[KernelProcess]:
    """A kernel without configuration, in a home of its own."""
    before = Traces.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        process = KernelProcess(["--id", "shared"], cwd=shared_home.parent, env={"LLMSPELL_HOME": str(shared_home)})
    yield process
    process.stop()
    left = left_since(before)
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The shared kernel keeps the workers that it started for a test; `shared_kernel` looks when it has ended."""


@pytest.fixture
def at_home(shared_home: Path, shared_kernel: KernelProcess, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program whose home is the kernel's: it finds the kernel by itself."""
    monkeypatch.setenv("LLMSPELL_HOME", str(shared_home))
    monkeypatch.delenv("LLMSPELL_CONNECT", raising=False)
    monkeypatch.chdir(shared_home.parent)
    return shared_home.parent

"""What the cases of all commands run on: a directory with their files, a home with a small model, and a kernel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_cases import DOCUMENTS, ingest_of, write_files
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess


@pytest.fixture(scope="session")
def home_of_the_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the model `tiny` is installed, to be copied."""
    directory = tmp_path_factory.mktemp("cases")
    write_files(directory)
    home = directory / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    home.chmod(0o700)
    done = llmspell("model", "pull", f"file://{directory}/tiny.gguf", env={"LLMSPELL_HOME": str(home)})
    assert done.status == 0, done.err
    words = ("--embedded", "chat", "mock/a", "--session", "notes", "--message", "What is the capital of France?")
    done = llmspell(*words, env={"LLMSPELL_HOME": str(home)})
    assert done.status == 0, done.err
    for (document, collection), text in DOCUMENTS.items():
        done = llmspell("--embedded", *ingest_of(document, collection), stdin=text, env={"LLMSPELL_HOME": str(home)})
        assert done.status == 0, done.err
    return home


@pytest.fixture
def case_directory(home: Path, tmp_path: Path, home_of_the_cases: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the cases, with a home of its own; nothing of the developer's is in reach."""
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    shutil.copytree(home_of_the_cases, home, dirs_exist_ok=True)
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def case_kernel(case_directory: Path) -> Iterator[KernelProcess]:
    """A kernel to connect to."""
    process = KernelProcess()
    yield process
    process.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)

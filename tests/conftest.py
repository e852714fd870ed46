"""Fixtures for every test: a real small model, a home of one's own, a kernel, and a look at what stays behind."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forked import end_server
from tests.support.kernels import KernelProcess
from tests.support.leftovers import Traces, adopt_orphans, left_since
from tests.support.models import smollm2
from tests.support.torch_models import TinyT5, minilm, smollm2_safetensors, tiny_ranker, tiny_t5


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """SmolLM2-135M-Instruct Q4_1: a real model of 98 MB, Apache-2.0, from a wheel on the package index."""
    return smollm2()


@pytest.fixture(scope="session", name="tiny_t5")
def _tiny_t5() -> TinyT5:
    """A T5 that translates number words exactly; needs the torch extra."""
    return tiny_t5()


@pytest.fixture(scope="session", name="smollm2_safetensors")
def _smollm2_safetensors() -> Path:
    """The directory of SmolLM2-135M-Instruct as bfloat16 safetensors; needs the torch extra."""
    return smollm2_safetensors()


@pytest.fixture(scope="session", name="tiny_ranker")
def _tiny_ranker() -> Path:
    """The directory of a cross-encoder whose scores are exact; needs the torch extra."""
    return tiny_ranker()


@pytest.fixture(scope="session", name="minilm")
def _minilm() -> Path:
    """The directory of all-MiniLM-L6-v2, a sentence encoder."""
    return minilm()


@pytest.fixture(scope="session", autouse=True)
def _signals_of_a_shell() -> None:
    """Signals that were ignored where the run began (`nohup`, `&` in a script) end processes all the same."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _private_temporary_directory() -> Iterator[None]:
    """Temporary files of kernels and workers go where only this run's are; paths stay short for socket files."""
    adopt_orphans()
    before = {name: os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as directory:
        os.environ["TMPDIR"] = directory
        os.environ.pop("XDG_RUNTIME_DIR", None)
        tempfile.tempdir = None
        yield
    tempfile.tempdir = None
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session", autouse=True)
def _no_server_of_commands_stays() -> Iterator[None]:
    """What commands are forked from is started when the first is run."""
    yield
    end_server()


@pytest.fixture(scope="session", autouse=True)
def _no_inherited_width() -> None:
    """A terminal's width is its own: readline tells the processes that run tests side by side another one."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def _no_keyring() -> Iterator[None]:
    """The developer's own keys are none of the tests' business; those of a keyring bring their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        yield


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    """Fails a test that leaves a process, a socket or a socket directory."""
    before = Traces.now()
    yield
    left = left_since(before)
    assert not left, "the test left behind: " + "; ".join(left)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty LLMSPELL_HOME, with no LLMSPELL_ variable of the developer's own in sight."""
    for name in list(os.environ):
        if name.startswith("LLMSPELL_") and name != "LLMSPELL_TEST_MODELS":
            monkeypatch.delenv(name)
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("LLMSPELL_HOME", str(directory))
    monkeypatch.chdir(tmp_path)
    return directory


@pytest.fixture
def kernel(home: Path) -> Iterator[KernelProcess]:
    """A real kernel in a process of its own, on free ports, with the zero-configuration default."""
    process = KernelProcess()
    yield process
    process.stop()

"""What a kernel's workers and logs never get to see: its keys, those in its environment, and what people write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.kernels import KernelProcess

SECRETS = {"OPENAI_API_KEY": "sk-0123456789", "HF_TOKEN": "hf_0123456789", "LLMSPELL_KEY": "key-0123456789"}
WRITTEN = "nobody else's business"


@pytest.fixture
def talkative(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelProcess]:
    """A kernel with keys in its environment that logs all it can."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    kernel = KernelProcess(["--log-level", "trace"])
    yield kernel
    kernel.stop()


def seen_by(worker: psutil.Process) -> str:
    """What anyone of this user may read about a process, and what it was given."""
    return "\n".join([*worker.cmdline(), *worker.environ().values()])


def logged(home: Path) -> str:
    return "\n".join(path.read_text() for path in (home / "logs").iterdir())


def test_a_script_worker_gets_no_key_and_the_log_neither_key_nor_code(talkative: KernelProcess, home: Path) -> None:
    with talkative.client() as client:
        client.request("execute_request", {"code": f"text = {WRITTEN!r}"}).result()
        [worker] = psutil.Process(talkative.pid).children()
        given = seen_by(worker)
    for secret in (*SECRETS.values(), talkative.info.key):
        assert secret not in given
        assert secret not in logged(home)
    assert WRITTEN not in logged(home)


@pytest.mark.slow
def test_a_model_worker_gets_no_key_and_the_log_no_conversation(
    talkative: KernelProcess, home: Path, smollm2_path: Path
) -> None:
    with talkative.client() as client:
        pull = {"action": "pull", "model": f"file://{smollm2_path}@candle"}
        model = client.request("model_request", pull).result().content["model_id"]
        talk = {"action": "generate", "model": f"{model}@candle", "prompt": WRITTEN, "options": {"max_tokens": 4}}
        client.request("model_request", talk).result()
        [worker] = psutil.Process(talkative.pid).children()
        given = seen_by(worker)
    for secret in (*SECRETS.values(), talkative.info.key):
        assert secret not in given
        assert secret not in logged(home)
    assert WRITTEN not in logged(home)

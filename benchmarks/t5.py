"""Rows about T5 with PyTorch: loading and speed through kernel and worker, beside transformers itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.contention import neighbour
from benchmarks.kernel_process import MeasuredKernel, chat
from benchmarks.plain_transformers import PlainTransformers
from benchmarks.random_t5 import SHAPES
from benchmarks.result import Result, Wanted, compared
from benchmarks.stage import Stage
from benchmarks.talk import Job
from llmspell_providers.candle.cpu import physical_cores
from tests.support.torch_models import tiny_t5

PROMPT = "three one four"
TOKENS = 128
PLAIN = "transformers' generate in one process"


def t5_speed(stage: Stage) -> Iterator[Result]:
    """Tokens a second of whole replies of one length, of both shapes; nothing where PyTorch is missing."""
    for shape in _shapes():
        directory = _model(stage, shape)
        kernel, model = _kernel(stage, directory)
        plain = PlainTransformers(directory, physical_cores())
        stage.callback(plain.close)
        yield compared(
            f"t5_{shape}_speed",
            stage.referee.compare(partial(_through_kernel, kernel, model), partial(_plain, plain)),
            what=f"a reply of {TOKENS} tokens through kernel and client, random weights of T5's {shape} shape",
            baseline_what=PLAIN,
            unit="tokens/s",
            wanted=Wanted(bound=0.97, at="least"),
        )


def t5_busy_neighbour(stage: Stage) -> Iterator[Result]:
    """The same beside one process that keeps a core busy; nothing where PyTorch is missing."""
    for shape in _shapes():
        kernel, model = _kernel(stage, _model(stage, shape))
        yield compared(
            f"t5_{shape}_busy_neighbour",
            stage.referee.compare(partial(_beside_a_neighbour, kernel, model), partial(_through_kernel, kernel, model)),
            what=f"a reply of {TOKENS} tokens beside a process that keeps one core busy",
            baseline_what="the same alone",
            unit="tokens/s",
            wanted=Wanted(bound=0.3, at="least"),
        )


def t5_load(stage: Stage) -> Iterator[Result]:
    """A request for a T5 that is not loaded; nothing where PyTorch is missing."""
    for shape in _shapes():
        directory = _model(stage, shape)
        kernel, model = _kernel(stage, directory)
        yield compared(
            f"t5_{shape}_load",
            stage.referee.compare(partial(_load_s, kernel, model), partial(_plain_load_s, directory)),
            what=f"request for a T5 of {shape} shape that is not loaded → its reply of two tokens",
            baseline_what="a process that imports transformers, loads and answers",
            unit="s",
            wanted=Wanted(bound=1.3),
        )


def _shapes() -> Iterator[str]:
    missing = [name for name in ("torch", "transformers", "sentencepiece") if find_spec(name) is None]
    if missing:
        print(f"skipped: T5 needs {', '.join(missing)} (pip install 'llmspell[torch]')", file=sys.stderr)
        return
    yield from SHAPES


def _model(stage: Stage, shape: str) -> Path:
    directory = stage.directory / f"t5-{shape}"
    if not directory.exists():
        command = [sys.executable, "-m", "benchmarks.random_t5", str(tiny_t5().single), str(directory), shape]
        subprocess.run(command, check=True, capture_output=True)
    return directory


def _kernel(stage: Stage, directory: Path) -> tuple[MeasuredKernel, str]:
    kernel, model = stage.kernel, f"{directory.name}@candle"
    kernel.ask("unload", force=True)
    kernel.ask("pull", model=directory.as_uri())
    kernel.ask("load", model=model, keep_alive=-1)
    return kernel, model


def _through_kernel(kernel: MeasuredKernel, model: str) -> float:
    talk = chat(kernel.client, Job(prompt=PROMPT, max_tokens=TOKENS), model=model)
    if talk.completion_tokens != TOKENS:
        raise RuntimeError(f"{talk.completion_tokens} tokens came in place of {TOKENS}")
    return TOKENS / (talk.end - talk.sent)


def _beside_a_neighbour(kernel: MeasuredKernel, model: str) -> float:
    with neighbour():
        return _through_kernel(kernel, model)


def _plain(plain: PlainTransformers) -> float:
    return TOKENS / plain.generate_s(PROMPT, TOKENS)


def _load_s(kernel: MeasuredKernel, model: str) -> float:
    kernel.ask("unload", model=model, force=True)
    talk = chat(kernel.client, Job(prompt=PROMPT, max_tokens=2), model=model)
    return talk.end - talk.sent


def _plain_load_s(directory: Path) -> float:
    began = time.monotonic()
    plain = PlainTransformers(directory, physical_cores())
    plain.generate_s(PROMPT, 2)
    elapsed = time.monotonic() - began
    plain.close()
    return elapsed

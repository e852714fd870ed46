"""Whether a model's chat templates come to an end: they are programs, and llama.cpp runs them while it loads a model.

Each engine's own interpreter runs them, in a process with little time and memory (`trial`). What else is wrong with a
template, the load says, or the request that uses it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_protocol.worker_memory import TRIAL_BYTES
from llmspell_providers.candle.trial import COMPUTES_S, Trial

_FILES = _MODEL_NAME, _LOG_NAME, _SOCKET_NAME = "trial.gguf", "trial.log", "trial.sock"
_NO_MEMORY = b"bad_alloc"
_kept: list[object] = []
_LAST_WORDS = b"exiting due to"
_LOG_WITHIN_S = 2.0
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_SAMPLES: tuple[list[dict[str, str]], ...] = (
    [{"role": "user", "content": "Hello"}],
    [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}],
    [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "How are you?"},
    ],
)


class TemplateTrial:
    """The chat templates of one model, being tried; `check` waits for the verdict, once."""

    def __init__(
        self,
        engine: str,
        model: str,
        templates: Mapping[str, str],
        directory: Path,
        *,
        computes_s: int = COMPUTES_S,
        memory_bytes: int = TRIAL_BYTES,
    ) -> None:
        """`templates` are by their keys in the file; `directory` is a private one for what the trial needs."""
        self._model = model
        self._directory = directory
        work = _work(engine, templates, directory, memory_bytes) if templates else None
        self._trial = None if work is None else Trial(work, computes_s=computes_s, memory_bytes=memory_bytes)

    def check(self) -> None:
        """Raises `ModelLoadFailed` where a template does not come to an end, takes all memory or ends the engine."""
        trial, self._trial = self._trial, None
        if trial is None:
            return
        fault = trial.fault()
        for name in _FILES:
            (self._directory / name).unlink(missing_ok=True)
        if fault is not None:
            raise ModelLoadFailed(
                f"the chat template of {self._model} cannot be used: for a conversation of a few words it {fault}",
                hint="choose another file of this model; a sound chat template takes a hundredth of a second",
                details={"template_fault": fault},
            )


def _work(engine: str, templates: Mapping[str, str], directory: Path, memory_bytes: int) -> Callable[[], None] | None:
    if engine in ("torch", "llama-cpp-python"):
        return lambda: _render(templates)
    # Its own interpreter is llama.cpp's too; where there is no library of that, the limits of its process are left.
    return (lambda: _load(templates, directory, memory_bytes)) if importlib.util.find_spec("xllamacpp") else None


def _render(templates: Mapping[str, str]) -> None:
    """As transformers and llama-cpp-python render: Jinja2 in a sandbox, which bounds no loops."""
    # A part of both engines.
    from jinja2.exceptions import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    known: dict[str, Any] = {"raise_exception": refuse, "strftime_now": lambda form: form}
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    for template in templates.values():
        for messages in _SAMPLES:
            try:
                environment.from_string(template).render(
                    messages=messages, add_generation_prompt=True, bos_token="<s>", eos_token="</s>", **known
                )
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 a template may raise anything; who uses it is told then
                continue


def _load(templates: Mapping[str, str], directory: Path, memory_bytes: int) -> None:
    """As llama.cpp's server does: it makes a parser of the templates' own output, for conversations of its own."""
    import resource

    from llmspell_providers.candle.trial_model import trial_model

    path, log_path = directory / _MODEL_NAME, directory / _LOG_NAME
    path.write_bytes(trial_model(templates))
    log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for fd in (1, 2):
        os.dup2(log_fd, fd)
    # What a driver would do for its graphics cards is no part of this.
    os.environ |= dict.fromkeys(("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"), "")
    import xllamacpp

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.hostnames = [str(directory / _SOCKET_NAME)]
    parameters.n_ctx = 64
    parameters.n_parallel = parameters.n_threads_http = 1
    parameters.n_batch = parameters.n_ubatch = 32
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.n_gpu_layers = 0
    parameters.fit_params = parameters.warmup = parameters.ui = False
    parameters.verbosity = 1
    refusal: RuntimeError | None = None
    try:
        # Kept: where nothing holds it, it is taken apart, which can wait for ever.
        _kept.append(xllamacpp.Server(parameters))
    except RuntimeError as error:
        refusal = error
    # An engine that gets no more memory may refuse the template, and the log alone says why, or go on without it.
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _RSS_UNIT
    if grown > memory_bytes // 2 or (refusal is not None and _NO_MEMORY in _whole_log(log_path)):
        raise MemoryError


def _whole_log(path: Path) -> bytes:
    """What the engine has written by its last line; a thread of its own writes, some time after the refusal."""
    deadline = time.monotonic() + _LOG_WITHIN_S
    while _LAST_WORDS not in (log := path.read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return log

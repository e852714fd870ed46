"""The baseline: an engine called directly, in one process with nothing of ours around it.

As a module it is that process (`python -m benchmarks.raw_engine`): it loads a model with the options in the first line
of its input and answers each further line, a list of jobs, with a line of talks. `RawEngine` is the handle to it. The
engine gets the options and the environment that the kernel's worker gets.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.line_process import LineProcess
from benchmarks.talk import Job, Talk


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How the engine is to be started; `batch_size` None leaves the engine's own default."""

    path: str
    engine: str = "xllamacpp"
    slots: int = 4
    context_size: int = 4096
    batch_size: int | None = 256
    threads: int = 2
    spin_count: int | None = 1000
    prompt_cache_bytes: int = 0
    flash_attention: bool = True


class RawEngine:
    """A running baseline process."""

    def __init__(self, options: EngineOptions) -> None:
        from llmspell_protocol.child import base_environment

        self._directory = tempfile.TemporaryDirectory(prefix="llmspell-raw-")
        environment = {**base_environment(), "TMPDIR": self._directory.name}
        if options.spin_count is not None:
            environment["GOMP_SPINCOUNT"] = str(options.spin_count)
        self._process = LineProcess("benchmarks.raw_engine", environment=environment)
        self._process.write(asdict(options))
        self._process.read()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def talk(self, jobs: Sequence[Job]) -> list[Talk]:
        """Runs the jobs at the same time, each on a thread of its own."""
        self._process.write([job.as_map() for job in jobs])
        return [Talk(**talk) for talk in self._process.read()]

    def close(self) -> None:
        """Ends the process."""
        self._process.close()
        self._directory.cleanup()


class _Engine(Protocol):
    def answer(self, job: Job, on_text: _OnText) -> Mapping[str, int]:
        """Generates one reply, calling `on_text` at each piece; returns the counts of a `Talk`."""


class _OnText(Protocol):
    def __call__(self) -> None: ...


class _XLlamaCpp:
    def __init__(self, options: EngineOptions) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = options.path
        # The listener that a server insists on: a socket file with a key, to which no request goes.
        parameters.hostnames = [str(Path(tempfile.gettempdir()) / "engine.sock")]
        parameters.api_keys = [secrets.token_hex(32)]
        parameters.ui = False
        parameters.verbosity = 0
        parameters.n_parallel = options.slots
        parameters.n_ctx = options.slots * options.context_size
        parameters.fit_params = False
        if options.batch_size is not None:
            parameters.n_batch = parameters.n_ubatch = options.batch_size
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
        parameters.cache_ram_mib = options.prompt_cache_bytes // (1 << 20)
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        flash = xllamacpp.llama_flash_attn_type
        parameters.flash_attn_type = (
            flash.LLAMA_FLASH_ATTN_TYPE_AUTO if options.flash_attention else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        self._server = xllamacpp.Server(parameters)

    def answer(self, job: Job, on_text: _OnText) -> Mapping[str, int]:
        usage: dict[str, int] = {}

        def on_chunk(chunk: Mapping[str, Any]) -> bool:
            if "usage" in chunk:
                usage["prompt_tokens"] = chunk["usage"]["prompt_tokens"]
                usage["completion_tokens"] = chunk["usage"]["completion_tokens"]
                usage["cached_tokens"] = chunk["timings"]["cache_n"]
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                on_text()
            return False

        body = {"messages": job.messages, "max_tokens": job.max_tokens, "stream": True, **job.options}
        self._server.handle_chat_completions({**body, "stream_options": {"include_usage": True}}, on_chunk)
        return usage


class _LlamaCppPython:
    """One request at a time: that is what it can."""

    def __init__(self, options: EngineOptions) -> None:
        import llama_cpp

        batch = options.batch_size if options.batch_size is not None else 512
        self._model = llama_cpp.Llama(
            options.path,
            n_ctx=options.context_size,
            n_batch=batch,
            n_ubatch=batch,
            n_threads=options.threads,
            n_threads_batch=options.threads,
            flash_attn=options.flash_attention,
            verbose=False,
        )
        self._turn = threading.Lock()

    def answer(self, job: Job, on_text: _OnText) -> Mapping[str, int]:
        with self._turn:
            pieces = 0
            for chunk in self._model.create_chat_completion(
                messages=job.messages, max_tokens=job.max_tokens, stream=True, **job.options
            ):
                if chunk["choices"][0]["delta"].get("content"):
                    pieces += 1
                    on_text()
            # Its stream names no counts; one piece is one token here but for split characters.
            return {"prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": pieces}


_ENGINES: Mapping[str, type[_XLlamaCpp] | type[_LlamaCppPython]] = {
    "xllamacpp": _XLlamaCpp,
    "llama-cpp-python": _LlamaCppPython,
}


def _run_together(engine: _Engine, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    talks: list[dict[str, Any]] = [{} for _ in jobs]
    first_pieces: list[float] = []
    grown = threading.Condition()

    def run(at: int, job: Job) -> None:
        pieces = first_pieces if at == 0 else []

        def on_text() -> None:
            pieces.append(time.monotonic())
            if at == 0 and len(jobs) > 1:
                with grown:
                    grown.notify_all()

        if job.after_pieces:
            with grown:
                grown.wait_for(lambda: len(first_pieces) >= job.after_pieces)
        sent = time.monotonic()
        counts = engine.answer(job, on_text)
        talks[at] = {"sent": sent, "pieces": pieces, "end": time.monotonic(), **counts}

    threads = [threading.Thread(target=run, args=(at, job)) for at, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return talks


def main() -> None:
    """The process."""
    # C code prints on descriptor 1: answers go to a copy, prints to nowhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    options = EngineOptions(**json.loads(sys.stdin.readline()))
    engine: _Engine = _ENGINES[options.engine](options)
    print(json.dumps("loaded"), file=answers, flush=True)
    for line in sys.stdin:
        jobs = [Job(**job) for job in json.loads(line)]
        print(json.dumps(_run_together(engine, jobs)), file=answers, flush=True)
    # The engine's threads need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()

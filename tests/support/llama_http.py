"""llama.cpp's own HTTP server, as xllamacpp carries it, in a process of its own: an OpenAI-compatible server not ours.

    python -m tests.support.llama_http MODEL.gguf [KEY] [rank]

prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType


class LlamaHttp:
    """A running server for one model; a context manager."""

    def __init__(self, model: Path, *, key: str | None = None, ranks: bool = False) -> None:
        """`ranks`: the model scores texts, and makes no embeddings."""
        command = [sys.executable, "-m", "tests.support.llama_http", str(model), key or ""]
        command += ["rank"] if ranks else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.base_url = ""

    def __enter__(self) -> LlamaHttp:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("http://"):
                self.base_url = f"{line.strip()}/v1"
                return self
        raise AssertionError("llama.cpp's server did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def _serve(model: str, key: str | None, *, ranks: bool) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"smollm2"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key] if key else []
    parameters.ui = False
    parameters.n_parallel = 2
    parameters.n_ctx = 1024
    parameters.fit_params = False
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
    parameters.cache_ram_mib = 0
    parameters.verbosity = 1  # errors only
    parameters.embedding = True
    pooling = xllamacpp.llama_pooling_type
    parameters.pooling_type = pooling.LLAMA_POOLING_TYPE_RANK if ranks else pooling.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2] or None if len(sys.argv) > 2 else None, ranks="rank" in sys.argv[3:])

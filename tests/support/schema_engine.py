"""llama.cpp with a small model in a process of its own, whose memory has an end: what it makes of schemas.

    python -m tests.support.schema_engine MODEL.gguf

reads requests (`{"schema"}` or `{"tools"}`, and `"raw"`), one a line, and writes `{"text", "error", "memory_mb"}`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

MEMORY_BYTES = 2 << 30
"""Ten times what the model needs: a grammar that wants more ends the process."""
TOKENS = 24


class SchemaEngine:
    """A running engine; a context manager."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "tests.support.schema_engine", str(model)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> SchemaEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def ask(self, **asked: Any) -> dict[str, Any]:
        """What came of one request; AssertionError where the engine did not outlive it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the engine ended at {asked}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _body(asked: dict[str, Any]) -> dict[str, Any]:
    from llmspell_providers.openai_chat import chat_body

    said = {"raw": True, "prompt": "JSON: "} if asked.get("raw") else {"prompt": "Something, in JSON."}
    options = {"max_tokens": TOKENS, "temperature": 0.0, "seed": 1}
    request = {"schema": asked.get("schema"), "tools": asked.get("tools"), "tool_choice": "auto"}
    return {**chat_body({**said, **request, "options": options}), "stream": True}


def _serve(model: str) -> None:
    import xllamacpp

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.ui = False
    parameters.n_parallel = 1
    parameters.n_ctx = 1024
    parameters.fit_params = False
    parameters.n_batch = parameters.n_ubatch = 128
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib = 0
    parameters.verbosity = 1  # errors only
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    for line in sys.stdin:
        asked = json.loads(line)
        text: list[str] = []
        failures: list[str] = []

        def take(chunk: Any, text: list[str] = text, failures: list[str] = failures) -> bool:
            if "error" in chunk:
                failures.append(str(chunk["error"]))
                return True
            deltas = (one.get("delta") or {"content": one.get("text")} for one in chunk.get("choices", ()))
            text.extend(delta.get("content") or "" for delta in deltas)
            return False

        call = server.handle_completions if asked.get("raw") else server.handle_chat_completions
        try:
            call(_body(asked), take)
        except ValueError as error:
            failures.append(str(error))
        memory_mb = _most_memory_kb() // 1024
        print(json.dumps({"text": "".join(text), "error": "; ".join(failures), "memory_mb": memory_mb}), flush=True)


def _most_memory_kb() -> int:
    # getrusage's maximum would be that of the process which started this one, where it had more.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    _serve(sys.argv[1])

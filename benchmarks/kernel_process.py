"""A kernel under measurement: a process with a home of its own, and chats through its client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.talk import Job, Talk
from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.connection import ConnectionInfo
from tests.support.kernels import KernelProcess

MODEL = "smollm2@candle"


class Home:
    """An LLMSPELL_HOME with the small model in it, and the environment of a user whose home it is."""

    def __init__(self, directory: Path, model_file: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLMSPELL_")}
        self.environment = {**inherited, "LLMSPELL_HOME": str(directory)}
        named = directory / "smollm2.gguf"
        shutil.copyfile(model_file, named)
        self.run("model", "pull", named.as_uri())
        named.unlink()

    def command(self, *arguments: str) -> list[str]:
        """The command line of `llmspell` with these arguments."""
        return [str(Path(sys.executable).with_name("llmspell")), *arguments]

    def run(self, *arguments: str) -> None:
        """Runs `llmspell`; its output is shown if it fails."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"llmspell {' '.join(arguments)} failed: {done.stdout}{done.stderr}")


class MeasuredKernel:
    """A running kernel, one client of it, and chats with the small model."""

    def __init__(self, home: Home, *, settings: Mapping[str, str] | None = None, mock_reply: str | None = None) -> None:
        self.home = home
        environment = {**home.environment, **(settings or {})}
        if mock_reply is not None:
            environment["LLMSPELL_MOCK_REPLY"] = mock_reply
        self._process = KernelProcess(cwd=home.directory, env=environment)
        self.client = self._process.client()

    @property
    def info(self) -> ConnectionInfo:
        """How to connect."""
        return self._process.info

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self._process.pid

    def close(self) -> None:
        """Ends the kernel."""
        self.client.close()
        self._process.stop()

    def ask(self, action: str, **content: Any) -> dict[str, Any]:
        """The content of a model_reply."""
        return self.client.request("model_request", {"action": action, **content}).result(600).content

    def execute(self, code: str) -> dict[str, Any]:
        """Runs a script by itself and returns the content of its execute_reply."""
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        metadata = {"llmspell": {"isolated": True, "name": "bench.lua"}}
        return self.client.request("execute_request", content, metadata=metadata).result(600).content

    def loaded(self) -> dict[str, Any] | None:
        """The line of `model ps` about the small model; None when it is not loaded."""
        models: list[dict[str, Any]] = self.ask("ps")["models"]
        return next((model for model in models if model["backend"] == "candle"), None)

    def talk(self, jobs: Sequence[Job]) -> list[Talk]:
        """Runs the jobs at the same time, each as a client of its own."""
        if len(jobs) == 1:
            return [chat(self.client, jobs[0])]
        talks: list[Talk | None] = [None] * len(jobs)
        ready = threading.Barrier(len(jobs))
        begun = threading.Event()

        def run(at: int, job: Job) -> None:
            with Client(self.info) as client:
                client.connect(10.0)
                ready.wait()
                if job.after_pieces:
                    begun.wait()
                talks[at] = chat(client, job, (begun, _pieces_awaited(jobs)) if at == 0 else None)

        threads = [threading.Thread(target=run, args=(at, job)) for at, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finished = [talk for talk in talks if talk is not None]
        if len(finished) < len(jobs):
            raise RuntimeError("a client of the kernel failed; its traceback is above")
        return finished


def _pieces_awaited(jobs: Sequence[Job]) -> int:
    return max(job.after_pieces for job in jobs)


def send_chat(client: Client, job: Job, model: str = MODEL) -> Pending:
    """Sends a chat request and returns at once."""
    content = {
        "action": "chat",
        "model": model,
        "messages": job.messages,
        "options": {**job.options, "max_tokens": job.max_tokens},
    }
    return client.request("model_request", content)


def chat(client: Client, job: Job, announce: tuple[threading.Event, int] | None = None, *, model: str = MODEL) -> Talk:
    """One chat from sending to its reply; `announce` is set when so many tokens have come."""
    sent = time.monotonic()
    pending = send_chat(client, job, model)
    pieces: list[float] = []
    words = 0
    for event in pending:
        if isinstance(event, Delta) and event.content.get("text"):
            pieces.append(time.monotonic())
            # A delta may hold several tokens: words are near enough for "has begun".
            words += max(1, event.content["text"].count(" "))
            if announce is not None and words >= announce[1]:
                announce[0].set()
    reply = pending.result().content
    end = time.monotonic()
    usage = reply["usage"]
    return Talk(
        sent=sent,
        pieces=pieces,
        end=end,
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["cached_tokens"],
        completion_tokens=usage["completion_tokens"],
    )

"""A real Jupyter frontend for tests: the kernelspec as `llmspell jupyter install` writes it, jupyter_client's own
manager and clients, and cells whose every message is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

DEADLINE_S = 60.0
KERNEL_NAME = "llmspell"

Json = dict[str, Any]


def llmspell(*arguments: str, environment: dict[str, str]) -> str:
    """What the installed command prints; fails when it fails."""
    command = [str(Path(sys.executable).with_name("llmspell")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def environment_of(home: Path) -> dict[str, str]:
    """The environment of a user whose home is `home`, without any other LLMSPELL_ or Jupyter variable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LLMSPELL_", "JUPYTER_"))}
    return {**inherited, "LLMSPELL_HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "jupyter-runtime")}


class Frontend:
    """A prefix with our kernelspec in it, and the environment in which kernels start.

    `words` are options of `llmspell jupyter install`; without any, each notebook has a kernel of its own.
    """

    def __init__(self, directory: Path, *words: str) -> None:
        self.prefix = directory / "prefix"
        self.home = directory / "home"
        self.home.mkdir(mode=0o700, parents=True)
        self.environment = environment_of(self.home)
        kind = words or ("--own",)
        llmspell("jupyter", "install", "--prefix", str(self.prefix), *kind, environment=self.environment)

    @property
    def data_directory(self) -> Path:
        """What JUPYTER_PATH has to name."""
        return self.prefix / "share" / "jupyter"

    @property
    def spec_file(self) -> Path:
        """The installed kernel.json."""
        return self.data_directory / "kernels" / KERNEL_NAME / "kernel.json"

    @contextmanager
    def kernel(self, *words: str) -> Iterator[KernelManager]:
        """A running kernel, ended in order afterwards; `words` are what the frontend's user wrote for it."""
        specs = KernelSpecManager(kernel_dirs=[str(self.data_directory / "kernels")])
        manager = KernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs)
        manager.start_kernel(env=self.environment, cwd=str(self.home), extra_arguments=list(words))
        try:
            yield manager
        finally:
            manager.shutdown_kernel()

    @contextmanager
    def client(self, manager: KernelManager, packer: str = "json") -> Iterator[BlockingKernelClient]:
        """A connected client that encodes its requests with `packer`; IOPub is always JSON."""
        client: BlockingKernelClient = manager.client()
        client.session = Session(key=manager.session.key, packer=packer, unpacker=packer)
        client.start_channels(hb=False)
        client.iopub_channel.session = Session(key=manager.session.key, packer="json", unpacker="json")
        try:
            yield client
        finally:
            client.stop_channels()


@dataclass(frozen=True)
class Cell:
    """A finished cell: its reply's content, and what IOPub said about it, busy and idle included."""

    reply: Json
    published: list[tuple[str, Json]]

    def of(self, msg_type: str) -> list[Json]:
        """The contents of one type, in order."""
        return [content for kind, content in self.published if kind == msg_type]

    @property
    def stdout(self) -> str:
        """Everything printed."""
        return "".join(content["text"] for content in self.of("stream") if content["name"] == "stdout")

    @property
    def value(self) -> str | None:
        """The result as text."""
        results = self.of("execute_result")
        return results[0]["data"]["text/plain"] if results else None


def run_cell(
    client: BlockingKernelClient,
    code: str,
    *,
    on_published: Callable[[str, Json], None] | None = None,
    **options: Any,
) -> Cell:
    """Executes a cell and waits for its reply and its idle; `on_published` sees each message when it comes."""
    options.setdefault("allow_stdin", False)
    msg_id = client.execute(code, **options)
    return finish_cell(client, msg_id, on_published)


def finish_cell(
    client: BlockingKernelClient, msg_id: str, on_published: Callable[[str, Json], None] | None = None
) -> Cell:
    """Waits for a cell that was sent: IOPub until its idle, then its reply."""
    published: list[tuple[str, Json]] = []
    while not published or published[-1] != ("status", {"execution_state": "idle"}):
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        published.append((message["msg_type"], message["content"]))
        if on_published is not None:
            on_published(*published[-1])
    return Cell(reply_to(client, msg_id), published)


def reply_to(client: BlockingKernelClient, msg_id: str, channel: str = "shell") -> Json:
    """The content of the reply to a request; others that come before it are passed over."""
    get: Callable[..., Json] = getattr(client, f"get_{channel}_msg")
    while True:
        message = get(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") == msg_id:
            content: Json = message["content"]
            return content


def ask(client: BlockingKernelClient, channel: str, msg_type: str, content: Json | None = None) -> Json:
    """The reply's content to any request on shell or control."""
    message = client.session.msg(msg_type, content or {})
    getattr(client, f"{channel}_channel").send(message)
    return reply_to(client, message["header"]["msg_id"], channel)

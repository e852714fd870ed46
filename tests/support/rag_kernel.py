"""A kernel that tests of documents share: the mock backend's embedder, and what is asked of it in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Progress
from llmspell_protocol.client.sync import Client
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernels import KernelProcess

SETTINGS = '[models]\nembedding = "mock/embed"\n[rag]\nenabled = true\n'


@contextmanager
def rag_kernel(home: Path, settings: str = SETTINGS, **env: str) -> Iterator[Rag]:
    """A client of a kernel with these settings and this home."""
    with pytest.MonkeyPatch.context() as patch:
        home.mkdir(mode=0o700, exist_ok=True)
        home.chmod(0o700)
        patch.setenv("LLMSPELL_HOME", str(home))
        file = home / "settings.toml"
        file.write_text(settings)
        kernel = KernelProcess(["--config", str(file)], env=env)
        try:
            with kernel.client() as client:
                yield Rag(client, kernel)
        finally:
            kernel.stop()


class Rag:
    """What is asked of a kernel about documents."""

    def __init__(self, client: Client, kernel: KernelProcess) -> None:
        self.client = client
        self.kernel = kernel

    def __call__(self, action: str, **fields: Any) -> dict[str, Any]:
        """The reply of one action."""
        return self.client.request("rag_request", {"action": action, **fields}).result().content

    def told(self, action: str, **fields: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What was told before the reply, and the reply."""
        pending = self.client.request("rag_request", {"action": action, **fields})
        progress = [event.content for event in pending if isinstance(event, Progress)]
        return progress, pending.result().content

    def texts(self, *texts: str, **fields: Any) -> dict[str, Any]:
        """Takes in texts, called `t0` and so on."""
        documents = [{"text": text, "id": f"t{number}"} for number, text in enumerate(texts)]
        return self("ingest", documents=documents, **fields)

    def found(self, query: str, **fields: Any) -> list[str]:
        """The documents of what a search finds."""
        return [hit["document"] for hit in self("search", query=query, **fields)["hits"]]

    def ran(self, code: str, **options: Any) -> Any:
        """What a script returns."""
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        metadata: Mapping[str, Any] = {METADATA_KEY: {"isolated": True, "name": "test.lua", **options}}
        return self.client.request("execute_request", content, metadata=metadata).result().content["result"]

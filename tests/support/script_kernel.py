"""One kernel that the tests of a script global share, and scripts of their own in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernels import KernelProcess
from tests.support.leftovers import Traces, left_since


@contextmanager
def script_kernel(home: Path) -> Iterator[Client]:
    """A client of a kernel with this home; looks for what is left behind when it has ended."""
    with pytest.MonkeyPatch.context() as patch:
        home.chmod(0o700)
        patch.setenv("LLMSPELL_HOME", str(home))
        before = Traces.now()
        kernel = KernelProcess()
        with kernel.client() as connected:
            yield connected
        kernel.stop()
        left = left_since(before)
        assert not left, "left behind: " + "; ".join(left)


def ran(client: Client, code: str, **options: Any) -> Any:
    """What a script of its own returns."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    metadata = {METADATA_KEY: {"isolated": True, "name": "test.lua", **options}}
    return client.request("execute_request", content, metadata=metadata).result().content["result"]

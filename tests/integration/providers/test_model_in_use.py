"""A model that another process uses can't be removed, until that process has ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_protocol.errors import ModelInUse
from llmspell_providers.library.store import Store
from tests.support.installed import install


def test_a_model_that_another_process_holds_is_named_with_its_pid_until_that_one_is_killed(tmp_path: Path) -> None:
    install(tmp_path, "tinyllama")
    store = Store(tmp_path / "models" / "candle")
    (manifest,) = store.list()
    code = (
        "import sys; from pathlib import Path; from llmspell_providers.library.store import Store; "
        "store = Store(Path(sys.argv[1])); hold = store.hold(store.list()[0]); print('held', flush=True); "
        "sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(store.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ModelInUse, match=f"in use by process {other.pid}") as caught:
            store.remove(manifest)
        other.kill()

    assert caught.value.details == {"model": "tinyllama", "pids": [other.pid]}
    store.remove(manifest)
    assert store.list() == []

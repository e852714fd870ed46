"""A notebook server that attaches to a kernel which runs already, by its files and sockets alone, as in compose."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from llmspell import connect
from tests.support.kernels import KernelProcess
from tests.support.notebook_server import address_of, cell_over_a_server
from tests.support.snippets import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("jupyter_server") is None, reason="the notebook server is not installed: pip install '.[jupyter]'"
)


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[tuple[KernelProcess, str, str]]:
    """A kernel on socket files, and the address and token of a server with the options of compose's JupyterLab."""
    kernel = KernelProcess(["--id", "main", "--transport", "ipc"])
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    (linked,) = re.findall(r"ln -s /data/(\S+) /opt/kernels/main\.json", dockerfile)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "main.json").symlink_to(home / linked)
    options = [
        option.replace("/opt/kernels", str(tmp_path / "kernels")).replace("/work", str(tmp_path))
        for option in re.findall(r'"(--(?:ServerApp|KernelManager)\.[^"]+)"', dockerfile)
    ]
    assert len(options) == 4
    token = uuid.uuid4().hex
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--port=0", "--allow-root", *options]
    environment = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "c"),
    }
    environment |= {"JUPYTER_RUNTIME_DIR": str(tmp_path / "r"), "JUPYTER_PREFER_ENV_PATH": "1"}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        yield kernel, address_of(process), token
    finally:
        process.terminate()
        process.communicate(timeout=60)
        kernel.stop()


def test_a_notebook_server_attaches_to_a_kernel_on_socket_files(server: tuple[KernelProcess, str, str]) -> None:
    kernel, address, token = server
    assert kernel.info.transport == "ipc"
    code = "kept = 'by the notebook'\nprint(Agent.builder():model('mock/a'):build():complete('hello'))"
    name, published = asyncio.run(cell_over_a_server(address, token, code))
    assert name == "llmspell"
    assert "[mock/a] hello\n" in [one["content"].get("text") for one in published]
    with connect("main") as client:
        assert client.run_cell("return kept").result == "by the notebook"

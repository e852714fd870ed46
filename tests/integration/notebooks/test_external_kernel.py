"""A notebook server that attaches to a kernel which runs already, by its files and sockets alone, as in compose."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from llmspell import connect
from tests.support.kernels import KernelProcess
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
        for option in re.findall(r'"(--ServerApp\.[^"]+)"', dockerfile)
    ]
    assert len(options) == 3
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
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"http://(127\.0\.0\.1:\d+)/", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield kernel, found[1], token
    finally:
        process.terminate()
        process.communicate(timeout=60)
        kernel.stop()


async def _cell(address: str, token: str, code: str) -> tuple[str, list[dict[str, Any]]]:
    """Runs code in the kernel that the server lists, over the server's own socket; its name, and what was published."""
    from tornado.httpclient import AsyncHTTPClient
    from tornado.websocket import websocket_connect

    client = AsyncHTTPClient()
    (listed,) = json.loads((await client.fetch(f"http://{address}/api/kernels?token={token}")).body)
    socket = await websocket_connect(f"ws://{address}/api/kernels/{listed['id']}/channels?token={token}")
    msg_id = uuid.uuid4().hex
    header = {
        "msg_id": msg_id,
        "session": uuid.uuid4().hex,
        "username": "",
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    request = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
    await socket.write_message(json.dumps(request))
    published: list[dict[str, Any]] = []
    while True:
        said = await socket.read_message()
        assert said is not None
        message = json.loads(said)
        if message["parent_header"].get("msg_id") != msg_id or message["channel"] != "iopub":
            continue
        published.append(message)
        if message["content"].get("execution_state") == "idle":
            socket.close()
            return listed["name"], published


def test_a_notebook_server_attaches_to_a_kernel_on_socket_files(server: tuple[KernelProcess, str, str]) -> None:
    kernel, address, token = server
    assert kernel.info.transport == "ipc"
    code = "kept = 'by the notebook'\nprint(Agent.builder():model('mock/a'):build():complete('hello'))"
    name, published = asyncio.run(_cell(address, token, code))
    assert name == "llmspell"
    assert "[mock/a] hello\n" in [one["content"].get("text") for one in published]
    with connect("main") as client:
        assert client.run_cell("return kept").result == "by the notebook"

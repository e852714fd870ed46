"""A running notebook server from outside: where it listens, and cells over its own socket, as JupyterLab runs them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import uuid
from typing import Any

DEADLINE_S = 60.0


def address_of(process: subprocess.Popen[str]) -> str:
    """`host:port` of a server that has just been started, as it says on its standard error."""
    assert process.stderr is not None
    said = ""
    while (found := re.search(r"http://(127\.0\.0\.1:\d+)/", said)) is None:
        line = process.stderr.readline()
        assert line, said
        said += line
    return found[1]


async def cell_over_a_server(
    address: str, token: str, code: str, *, new: str | None = None
) -> tuple[str, list[dict[str, Any]]]:
    """Runs code over the server's own socket, in the one kernel that it lists or in a `new` one of this kernelspec.

    Returns the kernel's name, and what was published.
    """
    from tornado.httpclient import AsyncHTTPClient
    from tornado.websocket import websocket_connect

    client = AsyncHTTPClient()
    kernels = f"http://{address}/api/kernels?token={token}"
    async with asyncio.timeout(DEADLINE_S):
        # It tells its address before it listens there.
        while True:
            try:
                await client.fetch(kernels)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
    if new is None:
        (listed,) = json.loads((await client.fetch(kernels)).body)
    else:
        listed = json.loads((await client.fetch(kernels, method="POST", body=json.dumps({"name": new}))).body)
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

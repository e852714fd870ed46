"""The least that can talk to any Jupyter kernel: the same few lines for ours and for ipykernel.

It connects before the kernel listens and is through a few milliseconds after it does, so that a start can be timed.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import zmq

from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire

RECONNECT_MS = 2
TIMEOUT_MS = 30_000

IPYKERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f")
LLMSPELL = (sys.executable, "-m", "llmspell_kernel", "-f")
"""What the kernelspecs start, without the connection file."""


class StartedKernel:
    """A kernel process from spawn to end, and a signed connection to it in JSON."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="llmspell-bench-")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._headers = HeaderFactory()
        key = secrets.token_hex(16)
        self._wire = Wire(key.encode(), refuse_replays=False)
        self.printed = 0
        """Characters on stdout of the cell that was executed last."""
        ports = dict(zip(("shell", "iopub", "stdin", "control", "hb"), _free_ports(5), strict=True))
        file = Path(self._directory.name) / "kernel-bench.json"
        connection = {
            **{f"{name}_port": port for name, port in ports.items()},
            "transport": "tcp",
            "ip": "127.0.0.1",
            "key": key,
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
        }
        file.write_text(json.dumps(connection))
        self._shell = self._socket(zmq.DEALER, ports["shell"])
        self._iopub = self._socket(zmq.SUB, ports["iopub"])
        self._iopub.set(zmq.SUBSCRIBE, b"")
        began = time.monotonic()
        self.spawned_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            [*command, str(file)],
            env=dict(environment),
            cwd=self._directory.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.kernel_info()
        self.ready_s = time.monotonic() - began

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self._process.pid

    def kernel_info(self) -> float:
        """Seconds from a kernel_info_request to its reply."""
        return self._ask("kernel_info_request", {})

    def complete(self, code: str) -> float:
        """Seconds from a complete_request at the end of the code to its reply."""
        return self._ask("complete_request", {"code": code, "cursor_pos": len(code)})

    def execute(self, code: str) -> float:
        """Seconds from an execute_request to the idle on IOPub that ends it; `printed` counts its characters."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        self.printed = 0
        began = time.monotonic()
        msg_id = self._send("execute_request", content)
        while True:
            message = self._receive(self._iopub)
            if message.content.get("name") == "stdout":
                self.printed += len(message.content["text"])
            if message.parent_id == msg_id and message.content.get("execution_state") == "idle":
                break
        idle_s = time.monotonic() - began
        self._reply_to(msg_id)
        return idle_s

    def close(self) -> None:
        """Ends the kernel and the connection."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._context.destroy(linger=0)
        self._directory.cleanup()

    def _socket(self, kind: int, port: int) -> zmq.Socket[bytes]:
        connected = self._context.socket(kind)
        connected.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        connected.set(zmq.RCVTIMEO, TIMEOUT_MS)
        connected.set(zmq.LINGER, 0)
        connected.connect(f"tcp://127.0.0.1:{port}")
        return connected

    def _ask(self, msg_type: str, content: dict[str, object]) -> float:
        began = time.monotonic()
        self._reply_to(self._send(msg_type, content))
        return time.monotonic() - began

    def _send(self, msg_type: str, content: dict[str, object]) -> str:
        message = Message(self._headers(msg_type), content)
        self._shell.send_multipart(self._wire.pack(message, "json"))
        return message.msg_id

    def _reply_to(self, msg_id: str) -> None:
        while self._receive(self._shell).parent_id != msg_id:
            pass

    def _receive(self, connected: zmq.Socket[bytes]) -> Message:
        return self._wire.unpack(connected.recv_multipart())


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports

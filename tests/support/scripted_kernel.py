"""Five real sockets that say what a test tells them to: for what a healthy kernel never does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import zmq

from llmspell_protocol.connection import CHANNELS, Channel, ConnectionInfo, Transport
from llmspell_protocol.messages import PROTOCOL_VERSION, HeaderFactory, Message
from llmspell_protocol.wire import Wire, WireError

Answer = tuple[Channel, str, dict[str, Any]]
"""Where to send what: (channel, message type, content)."""

KERNEL_INFO = {"status": "ok", "implementation": "scripted", "llmspell": {"protocol": PROTOCOL_VERSION}}


class ScriptedKernel:
    """Answers kernel_info and, for all else, yields from `script(message)`; runs in a thread until closed.

    An answer goes out when it is yielded, with the message as its parent. `kernel_info` None never answers that
    either; `heartbeat` False leaves the heartbeat silent. `die` closes all sockets at once, as the end of a process
    does.
    """

    def __init__(
        self,
        transport: Transport,
        directory: Path,
        script: Callable[[Message], Iterator[Answer]],
        *,
        kernel_info: dict[str, Any] | None = KERNEL_INFO,
        heartbeat: bool = True,
    ) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._script = script
        self._kernel_info = kernel_info
        self._heartbeat = heartbeat
        self._header = HeaderFactory()
        self._dying = threading.Event()
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {
            channel: self.context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER) for channel in CHANNELS
        }
        for socket in self._sockets.values():
            socket.set(zmq.SNDHWM, 0)  # A ROUTER drops what is above its mark.
        self.info = self._bind(transport, directory)
        self._wire = Wire(self.info.key.encode())
        self._bell: zmq.Socket[bytes] = self.context.socket(zmq.PAIR)
        self._bell.bind("inproc://bell")
        self._rope: zmq.Socket[bytes] = self.context.socket(zmq.PAIR)
        self._rope.connect("inproc://bell")
        self._thread = threading.Thread(target=self._run, name="scripted kernel")
        self._thread.start()

    def __enter__(self) -> ScriptedKernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.context.term()

    def close(self) -> None:
        """Ends the thread; safe to call twice."""
        if self._thread.is_alive():
            self._rope.send(b"")
            self._thread.join()
        self._rope.close(linger=0)

    def die(self) -> None:
        """From within the script: ends as a killed process does."""
        self._dying.set()

    @property
    def client_context(self) -> zmq.Context[zmq.Socket[bytes]] | None:
        """What a client must share with this kernel, for inproc."""
        return self.context if self.info.transport == "inproc" else None

    def _bind(self, transport: Transport, directory: Path) -> ConnectionInfo:
        if transport == "inproc":
            info = ConnectionInfo.inproc("scripted")
            for channel, socket in self._sockets.items():
                socket.bind(info.endpoint(channel))
            return info
        if transport == "ipc":
            ports: Sequence[int] = range(1, 6)
            for port, socket in zip(ports, self._sockets.values(), strict=True):
                socket.bind(f"ipc://{directory}/k-{port}")
        else:
            ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in self._sockets.values()]
        return ConnectionInfo.from_json(
            json.dumps(
                {
                    "transport": transport,
                    "ip": f"{directory}/k" if transport == "ipc" else "127.0.0.1",
                    "key": "the scripted key",
                    "kernel_name": "llmspell",
                    **{f"{channel}_port": port for channel, port in zip(CHANNELS, ports, strict=True)},
                }
            )
        )

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (*self._sockets.values(), self._bell):
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._dying.is_set():
                ready = dict(poller.poll())
                if self._bell in ready:
                    return
                for channel in CHANNELS:
                    if self._sockets[channel] in ready:
                        self._serve(channel, self._sockets[channel].recv_multipart())
        finally:
            for socket in (*self._sockets.values(), self._bell):
                socket.close(linger=500)  # What was yielded still goes out.

    def _serve(self, channel: Channel, frames: list[bytes]) -> None:
        if channel == "hb":
            if self._heartbeat:
                self._sockets["hb"].send_multipart(frames)
            return
        if channel == "iopub":
            if frames[0][:1] == b"\x01":
                self._send("iopub", Message(self._header("iopub_welcome"), {"subscription": ""}, identities=[b""]))
            return
        try:
            message = self._wire.unpack(frames)
        except WireError:
            return
        introduced = message.msg_type == "kernel_info_request"
        answers = self._introduce(channel) if introduced else self._script(message)
        for to, msg_type, content in answers:
            self._send(
                to,
                Message(
                    self._header(msg_type),
                    content,
                    parent_header=message.header,
                    identities=message.identities if to != "iopub" else [b""],
                    encoding=message.encoding,
                ),
            )

    def _introduce(self, channel: Channel) -> Iterator[Answer]:
        if self._kernel_info is not None:
            yield channel, "kernel_info_reply", self._kernel_info

    def _send(self, channel: Channel, message: Message) -> None:
        self._sockets[channel].send_multipart(self._wire.pack(message))

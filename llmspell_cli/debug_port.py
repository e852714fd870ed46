"""`debug --port`: an editor's debugger on a TCP port of this machine, its messages passed to the kernel's as they are.

One client, one run: the script begins when the client has set its breakpoints, and the command ends with the script.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from itertools import count
from typing import Any

from llmspell_cli.debugger.dap_stream import DapStream, packed
from llmspell_cli.debugger.link import ANSWER_S
from llmspell_cli.script import Script, request_options
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.output import Output, to_stderr
from llmspell_protocol.client.events import Delta, Event
from llmspell_protocol.errors import Busy, LlmspellError
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.request_options import RequestOptions

_HOST = "127.0.0.1"
_OURS = ("status", "seq")
"""Fields of a reply that are our messages' and not the debugger's."""


class DebugPort:
    """A script's run that an editor debugs. `port` 0 is a free one."""

    def __init__(self, session: Session, output: Output, script: Script, port: int) -> None:
        self._session = session
        self._output = output
        self._script = script
        self._numbers = count(1)
        self._client: socket.socket | None = None
        self._metadata: Content = {}
        self._stream = DapStream()
        try:
            self._listener = socket.create_server((_HOST, port), backlog=1)
        except OSError as problem:
            raise Busy(
                f"port {port} can't be listened on: {problem.strerror}", hint="--port 0 takes a free one"
            ) from None

    def run(self) -> int:
        """Waits for the editor, and runs the script to its end; returns its exit status.

        Raises:
            LlmspellError: it failed.
        """
        self._say(f"Waiting for a debugger on {_HOST}:{self._listener.getsockname()[1]}")
        with self._listener:
            self._client, _ = self._listener.accept()
        with self._client:
            try:
                status = self._follow()
            except LlmspellError as error:
                self._ended(error.exit_status)
                raise
            self._ended(status)
        return status

    def _follow(self) -> int:
        options = request_options(self._script)._replace(debug=True)
        run = self._session.client.request(
            "execute_request",
            {"code": self._script.code, "silent": False, "store_history": False, "allow_stdin": False},
            metadata={METADATA_KEY: options.metadata()},
        )
        self._metadata = {METADATA_KEY: RequestOptions(debugs=run.msg_id, deltas=True).metadata()}
        attached = False
        while True:
            while (event := run.take_arrived()) is not None:
                attached = self._take(event) or attached
            if run.done:
                return int(run.result().content.get("exit_code") or 0)
            # Until the kernel has a place for the script there is nothing to be asked.
            self._session.client.wait_beside(self._client if attached else None)
            if attached and self._client is not None:
                self._read(self._client)

    def _take(self, event: Event) -> bool:
        """Passes on what the run tells; whether it can be debugged from here on."""
        if not isinstance(event, Delta):
            return False
        told = event.content.get("debug")
        if told is not None:
            self._send({**told, "seq": next(self._numbers)})
            return bool(told["event"] == "process")
        stream, text = str(event.content.get("stream", "stdout")), str(event.content.get("text", ""))
        self._event("output", {"category": stream, "output": text})
        if self._output.json:
            self._output.event({"event": "output", "stream": stream, "text": text})
        elif stream == "stderr":
            to_stderr(text)
        else:
            self._output.write(text)
        return False

    def _read(self, client: socket.socket) -> None:
        client.setblocking(False)
        try:
            data = client.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        finally:
            client.setblocking(True)
        if not data:
            # The editor is gone: the script goes on without it.
            self._client = None
            self._ask({"type": "request", "seq": 0, "command": "disconnect"})
            return
        for message in self._stream.feed(data):
            if message.get("type") == "request":
                self._send({**self._ask(message), "seq": next(self._numbers)})

    def _ask(self, message: Mapping[str, Any]) -> Content:
        content = dict(message)
        pending = self._session.client.request("debug_request", content, metadata=self._metadata, timeout_s=ANSWER_S)
        try:
            reply = pending.result().content
        except LlmspellError as error:
            reply = {"success": False, "message": error.message}
        told = {name: value for name, value in reply.items() if name not in _OURS}
        return {"type": "response", "request_seq": message.get("seq", 0), "command": message.get("command"), **told}

    def _ended(self, status: int) -> None:
        self._event("exited", {"exitCode": status})
        self._event("terminated", {})
        if self._output.json:
            self._output.last_event({"event": "terminated", "exit": status})

    def _event(self, event: str, body: Content) -> None:
        self._send({"seq": next(self._numbers), "type": "event", "event": event, "body": body})

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._client is None:
            return
        try:
            self._client.sendall(packed(message))
        except ConnectionError:
            self._client = None

    def _say(self, text: str) -> None:
        if self._output.json:
            self._output.event({"event": "note", "text": text})
        else:
            self._output.write(text + "\n")

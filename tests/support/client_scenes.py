"""What scripted kernels say to clients, and the transports that they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import Transport
from llmspell_protocol.messages import Message
from tests.support.scripted_kernel import Answer, ScriptedKernel

TRANSPORTS: list[Transport] = ["tcp", "ipc", "inproc"]
SOCKETS: list[Transport] = ["tcp", "ipc"]

Start = Callable[..., ScriptedKernel]


def connected(kernel: ScriptedKernel) -> Client:
    return Client(kernel.info, context=kernel.client_context).connect(60.0)


def stream_of(count: int) -> Callable[[Message], Iterator[Answer]]:
    def script(message: Message) -> Iterator[Answer]:
        yield "shell", "model_progress", {"phase": "prefill", "seq": 0}
        for number in range(1, count + 1):
            yield "shell", "model_delta", {"text": f"{message.content.get('who', '')}{number} ", "seq": number}
        yield "shell", "model_reply", {"status": "ok", "count": count, "seq": count + 1}

    return script


def silence(message: Message) -> Iterator[Answer]:
    yield from ()

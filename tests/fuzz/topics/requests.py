"""Every field of every request with values it was not made for, in both encodings, to a real kernel.

Each is answered, none with `internal`, and the kernel lives. What can't be decoded at all is dropped, as documented.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from llmspell_protocol.bounded import TooManyValues
from llmspell_protocol.wire import DELIMITER, Wire, WireError, decode_part
from tests.fuzz.request_inputs import Sent, wrong_request
from tests.fuzz.request_kernel import trial_kernel
from tests.fuzz.trial import Trial
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import RawSocket, raw_socket

AT_ONCE = 40
"""Requests on their way at a time."""
_SHOWN = 600


def run(trial: Trial) -> None:
    """Sends requests in groups and waits for all answers of a group before the next."""
    answers: Counter[str] = Counter()
    with trial_kernel(trial.directory) as kernel, raw_socket(kernel.info, hwm=0) as socket:
        _make_agent(socket)
        more = True
        while more:
            group = []
            while len(group) < AT_ONCE and (more := trial.more()):
                group.append(wrong_request(trial.random))
            answers.update(_answers(kernel, socket, group))
        alive = socket.message("kernel_info_request", {})
        socket.send(alive)
        assert socket.reply_to(alive).content["status"] == "ok"
        assert kernel.process.poll() is None
    log = "".join(path.read_text() for path in trial.directory.rglob("*.log"))
    assert "incident " not in log, log[log.index("incident ") :][:3000]
    print("requests:", ", ".join(f"{code} {count}" for code, count in answers.most_common()))


def _make_agent(socket: RawSocket) -> None:
    content = {"action": "create", "name": "helper", "model": "mock/a"}
    made = socket.message("agent_request", content)
    socket.send(made)
    assert socket.reply_to(made).content["status"] == "ok"


def _answers(kernel: KernelProcess, socket: RawSocket, group: list[Sent]) -> list[str]:
    wire = Wire(kernel.info.key.encode(), refuse_replays=False)
    waiting: dict[str, Sent] = {}
    codes = []
    for sent in group:
        header = socket.headers(sent.msg_type)
        parts = [sent.encoded(part) for part in (header, {}, sent.metadata, sent.content)]
        if _decodes(parts):
            waiting[header["msg_id"]] = sent
        else:
            codes.append("dropped")
        socket.socket.send_multipart([DELIMITER, wire.sign(parts), *parts])
    while waiting:
        if not socket.socket.poll(5_000):
            raise AssertionError(f"no answer to {list(map(_shown, waiting.values()))}")
        message = socket.receive()
        if not message.msg_type.endswith("_reply") or message.parent_id not in waiting:
            continue
        sent = waiting.pop(message.parent_id)
        code = _code(message.content)
        codes.append(code)
        assert code != "internal", f"{message.content} to {_shown(sent)}"
    return codes


def _decodes(parts: list[bytes]) -> bool:
    try:
        for part in parts:
            decode_part(part)
    except TooManyValues:
        return True  # It is answered with what is too much.
    except WireError:
        return False
    return True


def _code(content: dict[str, Any]) -> str:
    return str(content.get("code", "error")) if content["status"] == "error" else str(content["status"])


def _shown(sent: Sent) -> str:
    text = f"{sent.encoding} {sent.msg_type} {sent.content!r} {sent.metadata!r}"
    return text if len(text) < _SHOWN or "LLMSPELL_FUZZ_WHOLE" in os.environ else f"{text[:_SHOWN]}…"

"""Requests to a kernel over tcp, watched at both ends: the clock is the machine's, so the two lists are one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from benchmarks.timeline.probe import Marks, Watch
from benchmarks.timeline.processes import Watched
from benchmarks.timeline.stages import LAST, REQUEST_AT_CLIENT, REQUEST_AT_KERNEL
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo

WARM_UP = 5
_BEGINS = {REQUEST_AT_KERNEL[0].label}
CELL = {"silent": False, "store_history": False, "allow_stdin": False}
CHAT = {"action": "chat", "messages": [{"role": "user", "content": "Say yes."}], "options": {"max_tokens": 4}}

Send = Callable[[Client], object]


def _ask(msg_type: str, content: Mapping[str, object]) -> Send:
    return lambda client: client.request(msg_type, content).result(60)


def requests(model: str) -> Mapping[str, Send]:
    """What is sent, by name; `model` answers the chat."""
    script = 'a = a or Agent.builder():type("basic"):name("bench"):build()\na:get_history()'
    return {
        "kernel_info": _ask("kernel_info_request", {}),
        "execute `return 1`": _ask("execute_request", {**CELL, "code": "return 1"}),
        "lua_call (a script's agent:get_history())": _ask("execute_request", {**CELL, "code": script}),
        f"chat of {model}, to its first delta and its end": _ask("model_request", {**CHAT, "model": model}),
    }


def request_times(
    send: Mapping[str, Send], runs: int, environment: Mapping[str, str]
) -> dict[str, list[dict[str, float]]]:
    """Each request sent `runs` times: stage → milliseconds since its beginning, by request."""
    marks = Marks()
    _watch_the_client(marks)
    sections: dict[str, list[tuple[str, int]]] = {}
    with Watched(REQUEST_AT_KERNEL) as watched:
        for_kernel = _Kernel(watched, environment)
        try:
            with Client(for_kernel.info) as client:
                client.connect(10.0)
                for name, one in send.items():
                    for _ in range(WARM_UP):
                        one(client)
                    marks.taken.clear()
                    for _ in range(runs):
                        one(client)
                    sections[name] = [(REQUEST_AT_CLIENT[number].label, when) for number, when in marks.taken]
        finally:
            for_kernel.stop()
        at_kernel = watched.marks()
    return {name: _divided(at_client, at_kernel) for name, at_client in sections.items()}


class _Kernel:
    def __init__(self, watched: Watched, environment: Mapping[str, str]) -> None:
        read_fd, write_fd = os.pipe()
        words = ["--port", "0", "--log-level", "warn", "--daemon", "--ready-fd", str(write_fd)]
        command = watched.command("kernel", words)
        self._process = subprocess.Popen(command, env=dict(environment), pass_fds=(write_fd,))
        os.close(write_fd)
        with os.fdopen(read_fd) as pipe:
            started = json.loads(pipe.readline())
        self.info = ConnectionInfo.from_url(started["url"])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _watch_the_client(marks: Marks) -> None:
    watch = Watch([(stage.place, stage.moment) for stage in REQUEST_AT_CLIENT], marks)
    for module in dict.fromkeys(stage.place.partition(":")[0] for stage in REQUEST_AT_CLIENT):
        watch.wrap(import_module(module))


def _divided(at_client: Sequence[tuple[str, int]], at_kernel: Sequence[tuple[str, int]]) -> list[dict[str, float]]:
    """The marks of both ends, request by request: each begins and ends at the client."""
    first, last = REQUEST_AT_CLIENT[0].label, REQUEST_AT_CLIENT[-1].label
    begins = [when for label, when in at_client if label == first]
    ends = [when for label, when in at_client if label == last]
    both = sorted([*at_client, *at_kernel], key=lambda mark: mark[1])
    divided = []
    for begin, end in zip(begins, ends, strict=True):
        times: dict[str, float] = {}
        for label, when in both:
            # The kernel may still be at the end of the request before.
            is_ours = first in times and (label in _BEGINS or not label.startswith("kernel") or _BEGINS & times.keys())
            if begin <= when <= end and (label == first or is_ours) and (label in LAST or label not in times):
                times[label] = (when - begin) / 1e6
        divided.append(times)
    return divided

"""A Lua worker whose scripts can offer functions to the kernel and send any content, as globals can."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.scripting.engines import LUA
from llmspell_kernel.scripting.lua.worker import Worker
from llmspell_protocol.child import connect_parent
from llmspell_protocol.frames import Frame

OFFERING = LUA._replace(worker_module=__name__)
"""The engine of such workers."""


class OfferingWorker(Worker):
    """Adds the globals `offer(function)` and `request(type, content)`."""

    def _start(self, frame: Frame) -> dict[str, Any]:
        answer = super()._start(frame)
        assert self._sandbox is not None
        for name in (b"offer", b"request"):
            self._sandbox._environment[name] = self._sandbox._core[name.decode()]
        return answer


if __name__ == "__main__":
    OfferingWorker(connect_parent()).run()

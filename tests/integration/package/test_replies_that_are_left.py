"""Replies that are left before their end: each way of leaving cancels them at the kernel, and nothing else does."""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell import Answer as Answered
from llmspell import Kernel, Reply, connect, connect_async
from llmspell.progress import Step
from llmspell_protocol.areas.model import PullStep
from llmspell_protocol.areas.stream import LoadingStep, PrefillStep
from llmspell_protocol.errors import Cancelled, InvalidRequest, KernelUnreachable, ModelError
from llmspell_protocol.messages import Message
from tests.support.scripted_kernel import Answer, ScriptedKernel

DEADLINE_S = 60.0


class Endless:
    """A kernel whose replies begin and have no end; `cancelled` gets the ids that it is asked to cancel."""

    def __init__(self, directory: Path) -> None:
        self.cancelled: queue.Queue[str] = queue.Queue()
        self._asked: dict[str, Message] = {}
        self.kernel = ScriptedKernel("ipc", directory, self._script)

    def _script(self, message: Message) -> Iterator[Answer]:
        action = message.content.get("action")
        if action == "cancel":
            self.cancelled.put(message.content["msg_id"])
            message.header = self._asked.pop(message.content["msg_id"]).header
            yield "shell", "model_reply", {**Cancelled("cancelled").to_content(), "seq": 4}
        elif action == "die":
            self.kernel.die()
        elif action in ("chat", "execute"):
            self._asked[message.msg_id] = message
            yield "shell", "model_progress", {"phase": "loading", "seq": 0}
            yield "shell", "model_progress", {"phase": "prefill", "processed": 5, "total": 9, "eta_s": None, "seq": 1}
            yield "shell", "model_delta", {"text": "one ", "seq": 2}
            yield "shell", "model_delta", {"text": "two ", "reasoning": "hm", "seq": 3}
            if "interrupt" in str(message.content.get("messages")):
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)
            if "end" in str(message.content.get("messages")):
                yield "shell", "model_reply", {"status": "error", "code": "model_error", "message": "broken", "seq": 4}

    def heard_of_a_cancel(self) -> bool:
        return bool(self.cancelled.get(timeout=DEADLINE_S))


@pytest.fixture
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endless]:
    one = Endless(tmp_path_factory.mktemp("k"))
    yield one
    one.kernel.close()
    one.kernel.context.term()


def _break_off(kernel: Kernel) -> None:
    for _piece in kernel.stream("go on"):
        break


def _break_off_what_has_a_name(kernel: Kernel) -> None:
    KEPT.append(kernel.stream("go on"))
    for _piece in KEPT[-1]:
        break
    assert KEPT[-1].text == "one "


KEPT: list[Reply[Answered]] = []


def _leave_the_block(kernel: Kernel) -> None:
    with kernel.stream("go on") as reply:
        next(reply)
    assert reply.text == "one "
    assert list(reply) == []


def _close(kernel: Kernel) -> None:
    reply = kernel.stream("go on")
    assert [next(reply), next(reply)] == ["one ", "two "]
    reply.close()
    reply.close()
    assert (reply.text, reply.reasoning) == ("one two ", "hm")
    with pytest.raises(Cancelled):
        reply.result()


def _interrupt(kernel: Kernel) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(kernel.stream("interrupt me"))


def _interrupt_a_call(kernel: Kernel) -> None:
    def when_it_loads(_about: str) -> Any:
        raise KeyboardInterrupt

    kernel._asking._make_display = when_it_loads
    with pytest.raises(KeyboardInterrupt):
        kernel.chat("go on")


@pytest.mark.parametrize(
    "leave", [_break_off, _break_off_what_has_a_name, _leave_the_block, _close, _interrupt, _interrupt_a_call]
)
def test_a_reply_that_is_left_is_cancelled(leave: Callable[[Kernel], None], endless: Endless) -> None:
    with connect(endless.kernel.info, progress=None) as kernel:
        leave(kernel)
        assert endless.heard_of_a_cancel()
        assert kernel.is_connected


def test_under_asyncio_a_reply_that_is_left_is_cancelled(endless: Endless) -> None:
    async def run() -> None:
        async with await connect_async(endless.kernel.info, progress=None) as kernel:
            async with kernel.stream("go on") as reply:
                assert await anext(reply) == "one "
            assert await asyncio.to_thread(endless.heard_of_a_cancel)
            kept = kernel.stream("go on")
            async for _piece in kept:
                break
            assert await asyncio.to_thread(endless.heard_of_a_cancel)
            task = asyncio.create_task(kernel.chat("go on"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(endless.heard_of_a_cancel)

    asyncio.run(run())


def test_a_reply_that_fails_raises_where_it_is_iterated_and_cancels_nothing(endless: Endless) -> None:
    with connect(endless.kernel.info, progress=None) as kernel:
        reply = kernel.stream("the end")
        with pytest.raises(ModelError, match="broken"):
            list(reply)
        assert reply.text == "one two "
    assert endless.cancelled.empty()


def test_loading_and_reading_are_shown_until_the_text_begins(endless: Endless) -> None:
    shown: list[Step | str] = []

    class Display:
        def __init__(self, about: str) -> None:
            shown.append(about)

        def show(self, step: Step) -> None:
            shown.append(step)

        def close(self) -> None:
            shown.append("closed")

    with connect(endless.kernel.info, progress=Display) as kernel, kernel.stream("go on", model="m") as reply:
        next(reply)
        about, loading, reading, closed = shown
    assert (about, closed) == ("m", "closed")
    assert isinstance(loading, LoadingStep)
    assert isinstance(reading, PrefillStep)
    assert not isinstance(loading, PullStep)
    assert (reading.processed, reading.total) == (5, 9)


def test_a_connection_that_is_lost_says_so_and_its_replies_end(endless: Endless) -> None:
    with connect(endless.kernel.info, progress=None) as kernel:
        reply = kernel.stream("go on")
        next(reply)
        kernel._client.request("model_request", {"action": "die"})
        with pytest.raises(KernelUnreachable):
            list(reply)
        assert not kernel.is_connected
        assert repr(kernel).endswith(", lost>")
        with pytest.raises(KernelUnreachable):
            kernel.chat("hello")


def test_a_connection_that_was_closed_or_is_another_threads_says_so(endless: Endless) -> None:
    with connect(endless.kernel.info, progress=None) as kernel:
        problems: list[BaseException] = []

        def elsewhere() -> None:
            with pytest.raises(InvalidRequest, match="belongs to the thread that made it") as raised:
                kernel.chat("hello")
            problems.append(raised.value)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(problems) == 1
    with pytest.raises(InvalidRequest, match="connection is closed"):
        kernel.chat("hello")


def test_a_reply_that_outlives_its_connection_is_dropped_quietly(endless: Endless) -> None:
    with connect(endless.kernel.info, progress=None) as kernel:
        reply = kernel.stream("go on")
        next(reply)
    del reply


def test_a_failed_connection_leaves_nothing(endless: Endless) -> None:
    wrong = endless.kernel.info._replace(key="wrong")

    async def run() -> None:
        await connect_async(wrong, timeout_s=0.5)

    for attempt in (lambda: connect(wrong, timeout_s=0.5), lambda: asyncio.run(run())):
        with pytest.raises(Exception, match="does not accept the key"):
            attempt()

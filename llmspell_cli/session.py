"""One command's conversation with its kernel: ask, follow what comes back, and end it well on Ctrl-C.

The same for a kernel in this process and for one elsewhere; knows the client, not how it was connected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

from llmspell_cli.endings import Interrupted
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_protocol.client.events import Delta, Event, Progress, Reply
from llmspell_protocol.client.sync import Client, OnInput, Pending
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.messages import METADATA_KEY

if TYPE_CHECKING:
    from llmspell_protocol.request_options import RequestOptions

Mode = Literal["embedded", "connected"]
Content = dict[str, Any]

CANCEL_WAIT_S = 2.0
"""How long Ctrl-C waits for the kernel to confirm that the request has ended."""
_LATE_S = 2.0
"""The kernel counts a request's time itself; the client gives up only where the kernel doesn't answer any more."""


class Session:
    """A connected client and what commands do with it.

    `hurry` is set by a second Ctrl-C: leave without waiting. `interrupts` are those of a command that goes on after
    Ctrl-C; without them it may come at any time.
    """

    def __init__(self, client: Client, mode: Mode) -> None:
        self.client = client
        self.mode = mode
        self.hurry = False
        self.interrupts: Interrupts | None = None
        self._deliver_arrived: Callable[[], None] = lambda: None

    @property
    def kernel(self) -> str | None:
        """Which running kernel this is; None for the command's own."""
        return None if self.mode == "embedded" else self.client.info.id or self.client.info.address

    @property
    def origin(self) -> Content:
        """What a document says about where it comes from: `mode` and `kernel`."""
        return {"mode": self.mode, "kernel": self.kernel}

    @property
    def place(self) -> str:
        """The same in words."""
        return "embedded" if self.mode == "embedded" else f"kernel {self.kernel}"

    @property
    def draining(self) -> bool:
        """Whether the kernel said, when it was connected, that it takes no more work."""
        return bool((self.client.kernel_info.get(METADATA_KEY) or {}).get("draining"))

    def ask(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        on_delta: Callable[[Content], None] | None = None,
        on_progress: Callable[[Content], None] | None = None,
        on_input: OnInput | None = None,
        request_options: RequestOptions | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Sends a request and follows it to its reply; `request_options` become `metadata.llmspell`.

        Raises:
            Interrupted: Ctrl-C; the request was cancelled at the kernel.
            LlmspellError: what the kernel answered, or the connection broke.
        """
        asked_for = request_options.metadata() if request_options is not None else {}
        if timeout_s is not None:
            asked_for["timeout_s"] = timeout_s
        pending = self.client.request(
            msg_type,
            {key: value for key, value in content.items() if value is not None},
            metadata={METADATA_KEY: asked_for} if asked_for else None,
            timeout_s=timeout_s + _LATE_S if timeout_s is not None else None,
            on_input=on_input,
        )

        def deliver_arrived() -> None:
            while (event := pending.take_arrived()) is not None:
                _deliver(event, on_delta, on_progress)

        before, self._deliver_arrived = self._deliver_arrived, deliver_arrived
        try:
            with self.interrupts.cancellable() if self.interrupts is not None else nullcontext():
                for event in pending:
                    _deliver(event, on_delta, on_progress)
                return pending.result()
        except KeyboardInterrupt:
            raise self._give_up(pending) from None
        finally:
            self._deliver_arrived = before

    def deliver_arrived(self) -> None:
        """Delivers what has come of the request that `ask` follows: for a delta's taker that asks something itself."""
        self._deliver_arrived()

    def model(self, action: str, **fields: Any) -> Content:
        """A `model_request` without progress or deltas: the reply's content; absent fields are None."""
        return document(self.ask("model_request", {"action": action, **fields}))

    def _give_up(self, pending: Pending) -> Interrupted:
        answer: LlmspellError | None = None
        try:
            answer = _cancel(pending)
        except KeyboardInterrupt:
            self.hurry = True
        interrupted = Interrupted("Cancelled", details=answer.details if answer is not None else {})
        interrupted.answer = answer
        return interrupted


def _cancel(pending: Pending) -> LlmspellError | None:
    """How the cancelled request has ended at the kernel; None where that is not known in time, or it succeeded."""
    # It goes on a socket of its own and may overtake the request; the kernel then remembers it.
    pending.cancel()
    try:
        pending.result(timeout_s=CANCEL_WAIT_S)
    except LlmspellError as error:
        return error if pending.done else None
    return None


def _deliver(
    event: Event, on_delta: Callable[[Content], None] | None, on_progress: Callable[[Content], None] | None
) -> None:
    if isinstance(event, Delta):
        if on_delta is not None:
            on_delta(event.content)
    elif isinstance(event, Progress) and on_progress is not None:
        on_progress(event.content)


def document(reply: Reply) -> Content:
    """A reply's content as a result: without the number that only the wire needs."""
    return {key: value for key, value in reply.content.items() if key != "seq"}

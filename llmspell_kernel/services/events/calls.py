"""Calls a function of a script's with each event of its subscription, between the script's own calls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llmspell_kernel.parts import SilentSink
from llmspell_kernel.request import Request
from llmspell_kernel.services.events.subscription import Subscription
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.hook import FAILURES_IN_A_ROW
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_protocol.errors import LlmspellError, NotFound

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts

log = logging.getLogger(__name__)


async def call_with_each(
    subscription: Subscription,
    contexts: Contexts,
    subscribing: Request,
    hooks: HooksService,
) -> None:
    """Runs until the subscription or the script ends, or the function has failed five times in a row, which is told."""
    function = subscription.function
    assert function is not None
    # The request that subscribed has ended by now: a call is the script's own, without what a command was granted.
    request = Request(
        id=f"{subscribing.id}.events",
        msg_type="event_request",
        content={},
        caller=subscribing.caller,
        sink=SilentSink(),
    )
    output = contexts.output_of(function)
    failures = 0
    try:
        while failures < FAILURES_IN_A_ROW and (event := await subscription.next()) is not None:
            try:
                await contexts.invoke(request, function, [event.as_content()], output)
                failures = 0
            except NotFound:
                return  # The script has ended.
            except LlmspellError as problem:
                failures += 1
                log.info("subscription %s: %s", subscription.pattern, problem.message)
                output(
                    "stderr", f"warning: the function for events '{subscription.pattern}' failed: {problem.message}\n"
                )
                told = {"pattern": subscription.pattern, "error": problem.message, "event": event.as_content()}
                component = Component("event", event.event_type)
                await hooks.tell("EventHandlerError", request, component=component, data=told)
            finally:
                subscription.was_handled()
        if failures:
            output("stderr", f"warning: it is called no more: it failed {failures} times in a row\n")
    finally:
        subscription.no_longer_handled()
        contexts.release(function)

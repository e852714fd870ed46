"""Steps as people read them, page by page. Works on a connection inside a transaction of the caller's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from llmspell_kernel.services.sessions import steps
from llmspell_kernel.services.sessions.reading import read
from llmspell_kernel.services.sessions.steps import Place, Step, clean
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.session import SessionStep
from llmspell_protocol.errors import InvalidRequest

PAGE_CHARACTERS = 4 * 1024 * 1024
"""Of the steps of one page; a single step may have more."""
_BESIDE = 300
"""Characters of a step beside its texts, about."""
_LABEL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,99}")


class Page(NamedTuple):
    """Some steps; `after` is where the next ones begin, None: these are the last."""

    steps: list[SessionStep]
    after: str | None


def page(connection: sqlite3.Connection, session: str, after: str | None) -> Page:
    """As many steps of a session as a page holds: those behind the one with the label `after`.

    Raises:
        InvalidRequest: that is no label.
    """
    places: Iterable[Place] = steps.order(connection, session)
    if after is not None:
        if not _LABEL.fullmatch(after):
            raise InvalidRequest(f"after: '{after[:80]}' is no step", hint="such as 2, or 2.1")
        behind = Place("", after).numbers
        places = (place for place in places if place.numbers > behind)
    found: list[SessionStep] = []
    characters = 0
    for step in steps.each(connection, places):
        one = shown_step(step)
        characters += len(one.asked) + len(one.answered) + len(one.error or "") + len(one.details) + _BESIDE
        if found and characters > PAGE_CHARACTERS:
            return Page(found, found[-1].step)
        found.append(one)
    return Page(found, None)


def shown_step(step: Step) -> SessionStep:
    """A step as people read it."""
    seen = read(step.msg_type, step.content, step.options, step.reply)
    area = step.msg_type.removesuffix("_request")
    return SessionStep(
        step=step.label,
        step_name=None if (name := step.options.get("step")) is None else clean(str(name)),
        is_part=step.is_part,
        timestamp=time_text(step.started_at),
        action=f"{area} {step.action}".rstrip(),
        details=clean(seen.details),
        status="running" if step.reply is None else "error" if seen.error is not None else "ok",
        asked=clean(seen.asked),
        answered=clean(seen.answered),
        error=None if seen.error is None else clean(seen.error),
        duration_ms=step.duration_ms,
        model=seen.model,
        prompt_tokens=seen.prompt_tokens,
        completion_tokens=seen.completion_tokens,
    )

"""What the handlers of our own requests share: from content to class, to the action's method, and back to content."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import fields
from keyword import iskeyword
from typing import Any

from llmspell_kernel.request import Content, Reply, Request
from llmspell_kernel.validate import validate
from llmspell_protocol.areas import AREA_OF, actions
from llmspell_protocol.content import to_content


class AreaHandler:
    """Answers `<area>_request` with one method an action: `async def NAME(self, request, wanted)`.

    The method is named like the action, gets the request and its content as the class that the action's record names,
    and returns the record's reply class; where Python has the name as a word of its own it has `_` behind (`import_`).
    An action whose method is missing ends as every defect does, in `internal`.
    """

    async def __call__(self, request: Request) -> Reply:
        """Validates, calls the action's method, and turns what it returns into content and buffers."""
        action = actions(AREA_OF[request.msg_type])[request.action]
        method = getattr(self, f"{request.action}_" if iskeyword(request.action) else request.action)
        return _reply(await method(request, validate(request, action.request)))


def _reply(answer: Any) -> Reply:
    content: Content = to_content(answer)
    return Reply(content, [content.pop(name) for name in _buffers_of(answer.__class__)])


@functools.cache
def _buffers_of(kind: type[Any]) -> Sequence[str]:
    """The fields of a reply class that travel beside the content."""
    return tuple(item.name for item in fields(kind) if item.metadata.get("buffer"))

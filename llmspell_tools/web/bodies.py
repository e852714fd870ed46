"""Bodies of requests and answers as values: what tools are given and what they give."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.limits.answers import Answer

JSON_TYPE = "application/json"


def json_body(value: Any) -> bytes:
    """A value as JSON.

    Raises:
        InvalidRequest: it can't be said in JSON.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is no JSON: {error}") from None


class ShownBody(NamedTuple):
    """What an answer says: the JSON that it is, its text, or its bytes in base64."""

    body: Any
    is_base64: bool = False


def shown_body(answer: Answer) -> ShownBody:
    """The body of an answer; what says that it is JSON and isn't is text."""
    if answer.is_json and answer.content:
        try:
            return ShownBody(answer.json())
        except ValueError:
            pass
    text = answer.text()
    if text is None:
        return ShownBody(base64.b64encode(answer.content).decode(), is_base64=True)
    return ShownBody(text)

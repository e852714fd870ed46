"""The process that looks at schemas: `python -m llmspell_providers.reply_worker`. Before a generation it says how they
may be given to a backend, after it whether the reply fits.

A schema's `pattern` may compute for hours inside one call of `re`, which nothing but the end of the process stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import LlmspellError, OutOfMemory
from llmspell_protocol.frames import Frame
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.models import ChatRequest
from llmspell_protocol.worker_memory import REPLY_CHECK_BYTES, is_for_want_of_memory
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.reply import check_reply


def main() -> None:
    """Answers one `admit {schema, tools, grammar}` or `check {text, schema, finish_reason}` after the other, until the
    parent closes the pipe.
    """
    pipe = connect_parent()
    import jsonschema  # noqa: F401 - 60 ms, while the model still writes the first reply

    while (frame := pipe.receive()) is not None:
        if frame["op"] in ("admit", "check"):
            pipe.send({**_answer(frame), "id": frame["id"]})


def _answer(frame: Frame) -> Frame:
    try:
        if frame["op"] == "admit":
            return {"op": "done", **_admitted(frame)}
        check_reply(frame["text"], frame["schema"], finish_reason=frame["finish_reason"])
    except LlmspellError as error:
        return {"op": "error", "error": error.to_content()}
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        if is_for_want_of_memory(error):
            return {"op": "error", "error": _too_large().to_content()}
        what = "schema" if frame["op"] == "admit" else "reply"
        wrapped = incident_in_worker(error, f"the {what} could not be checked: {error}")
        return {"op": "error", "error": wrapped.to_content()}
    return {"op": "done"}


def _admitted(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    grammar = None if frame["grammar"] is None else Grammar(**frame["grammar"])
    admitted = admit(ChatRequest(model="", schema=frame["schema"], tools=frame["tools"]), grammar)
    return {"schema": to_content(admitted.schema), "tools": to_content(admitted.tools)}


def _too_large() -> OutOfMemory:
    return OutOfMemory(
        f"a look at a schema, or at a reply with one, took more memory than it may ({REPLY_CHECK_BYTES / 1e6:,.0f} MB)",
        hint="a smaller schema, or a lower max_tokens, needs less",
        details={"limit_bytes": REPLY_CHECK_BYTES},
    )


if __name__ == "__main__":
    main()

"""The process that holds finished replies against their schemas: `python -m llmspell_providers.reply_worker`.

A schema's `pattern` may compute for hours inside one call of `re`, which nothing but the end of the process stops.
"""

from __future__ import annotations

import traceback

from llmspell_protocol.child import connect_parent
from llmspell_protocol.errors import Internal, LlmspellError, OutOfMemory
from llmspell_protocol.frames import Frame
from llmspell_protocol.worker_memory import REPLY_CHECK_BYTES, is_for_want_of_memory
from llmspell_providers.schema_check import check_reply


def main() -> None:
    """Answers one `check {text, schema, finish_reason}` after the other, until the parent closes the pipe."""
    pipe = connect_parent()
    import jsonschema  # noqa: F401 - 60 ms, while the model still writes the first reply

    while (frame := pipe.receive()) is not None:
        if frame["op"] == "check":
            pipe.send({**_checked(frame), "id": frame["id"]})


def _checked(frame: Frame) -> Frame:
    try:
        check_reply(frame["text"], frame["schema"], finish_reason=frame["finish_reason"])
    except LlmspellError as error:
        return {"op": "error", "error": error.to_content()}
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        if is_for_want_of_memory(error):
            return {"op": "error", "error": _too_large().to_content()}
        traceback.print_exc()
        return {"op": "error", "error": Internal(f"the reply could not be checked: {error}").to_content()}
    return {"op": "done"}


def _too_large() -> OutOfMemory:
    return OutOfMemory(
        f"holding the reply against its schema took more memory than it may ({REPLY_CHECK_BYTES / 1e6:,.0f} MB)",
        hint="a smaller schema, or a lower max_tokens, needs less",
        details={"limit_bytes": REPLY_CHECK_BYTES},
    )


if __name__ == "__main__":
    main()

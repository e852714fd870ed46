"""The process that holds finished replies against their schemas: `python -m llmspell_providers.reply_worker`.

A schema's `pattern` may compute for hours inside one call of `re`, which nothing but the end of the process stops.
"""

from __future__ import annotations

from llmspell_protocol.child import connect_parent
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.frames import Frame
from llmspell_protocol.incidents import incident_in_worker
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
        wrapped = incident_in_worker(error, f"the reply could not be checked: {error}")
        return {"op": "error", "error": wrapped.to_content()}
    return {"op": "done"}


if __name__ == "__main__":
    main()

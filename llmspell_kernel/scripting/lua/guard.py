"""What stands between Lua's C code and our functions that it calls: nothing may be raised through it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llmspell_kernel.scripting.lua.convert import NotConvertible
from llmspell_kernel.scripting.lua.refusals import Refusal


class Stopped(Exception):
    """The script has to end now; what for is the worker's knowledge."""


def guarded(call: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...] | None]:
    """The function as Lua calls it: `(True, results…)`, `(False, message)`, or None when the script has to stop."""

    def safe(*arguments: Any) -> tuple[Any, ...] | None:
        try:
            return (True, *call(*arguments))
        except Stopped:
            return None
        except Refusal as refused:
            return False, lua_text(refused.text)
        except NotConvertible as problem:
            return False, lua_text(f"Validation error: {problem}")
        except MemoryError:
            return False, b"not enough memory"
        except Exception as defect:  # noqa: BLE001 — an exception must not cross Lua's C code
            from llmspell_protocol.incidents import incident_in_worker

            what = f"Internal error: {type(defect).__name__}: {defect}"
            incident = incident_in_worker(defect, what).details["incident"]
            return False, lua_text(f"{what} (incident {incident})")

    return safe


def lua_text(text: str) -> bytes:
    """The text for Lua; a path that is no UTF-8 gets its own bytes back, any other half of a character is U+FFFD."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

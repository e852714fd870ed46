"""What a frontend asks about code that isn't run, answered for one Lua state: plain data, as frames have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.scripting.lua.completion import bounded, completions
from llmspell_kernel.scripting.lua.file_names import FileNames
from llmspell_kernel.scripting.lua.indent import next_indent
from llmspell_kernel.scripting.lua.inspection import as_markdown, as_text, inspected
from llmspell_kernel.scripting.lua.sandbox import Sandbox


def answer(sandbox: Sandbox, question: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a frame of `complete`, `inspect` or `is_complete`."""
    code = given["code"]
    if question == "is_complete":
        status = sandbox.is_complete(code)
        return {"status": status, "indent": next_indent(code) if status == "incomplete" else ""}
    if question == "inspect":
        return {"data": inspect(sandbox, code, given["cursor"], detailed=given["detailed"])}
    return complete(sandbox, code, given["cursor"], given["directory"], given["places"])


def complete(
    sandbox: Sandbox, code: str, cursor: int, directory: str | None = None, places: Sequence[str] = ()
) -> dict[str, Any]:
    """`matches` ([text, type, signature] each), `start` and `end`; files are seen from `directory` in `places`."""
    live = sandbox.live
    files = FileNames(directory, places)

    def modules(text: str) -> list[str]:
        known = {
            field.name
            for table in ("loaded", "preload")
            for field in live.fields(("package", table), text, any_text=True)
            if field.name != "_G"
        }
        return sorted(known | set(files.modules(text, live.search_path())))

    found = bounded(completions(code, cursor, live, files, modules))
    return {"matches": [list(one) for one in found.candidates], "start": found.start, "end": found.end}


def inspect(sandbox: Sandbox, code: str, cursor: int, *, detailed: bool = False) -> dict[str, str]:
    """MIME type → text; nothing where nothing is known."""
    parts = inspected(code, cursor, sandbox.live, sandbox.host.sources.lines, detailed=detailed)
    return {} if parts is None else {"text/plain": as_text(parts), "text/markdown": as_markdown(parts)}

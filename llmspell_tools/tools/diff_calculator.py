"""diff-calculator: what has changed between two texts, or two JSON values."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.results import demand_length
from llmspell_tools.parameters import ToolParameters, missing, parameter

_NO_NEWLINE = "\n\\ No newline at end of file\n"


class Parameters(ToolParameters):
    """What `diff-calculator` is called with."""

    type: Literal["text", "json"] = parameter("what is compared; json where JSON is given", "text")
    old_text: str | None = parameter("the old text", None, also=("left", "old"))
    new_text: str | None = parameter("the new text", None, also=("right", "new"))
    old_json: Any = parameter("the old value, or its JSON as text", None)
    new_json: Any = parameter("the new value, or its JSON as text", None)
    old_file: str | None = parameter("the path of the old text or JSON", None)
    new_file: str | None = parameter("the path of the new text or JSON", None)
    format: Literal["unified", "context", "inline", "simple"] = parameter(
        "how a text's difference is written: unified and context as diff does; inline: all lines; simple: in words",
        "unified",
    )

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`operation = "json_diff"`, `format = "json"` and JSON values mean the type json; texts of it are its JSON."""
        wanted = dict(given)
        as_json = wanted.get("format") == "json"
        if as_json:
            del wanted["format"]
        if wanted.get("type") is None:
            said = wanted.get("operation")
            has_json = wanted.get("old_json") is not None or wanted.get("new_json") is not None
            no_text = wanted.get("old_text") is None and wanted.get("new_text") is None
            values = any(isinstance(wanted.get(name), (dict, list)) for name in ("old_text", "new_text"))
            if as_json or said in ("json", "json_diff") or (has_json and no_text) or values:
                wanted["type"] = "json"
        if wanted.get("type") == "json":
            for side in ("old", "new"):
                if wanted.get(f"{side}_json") is None and wanted.get(f"{side}_text") is not None:
                    wanted[f"{side}_json"] = wanted.pop(f"{side}_text")
        return wanted


class _Counts(NamedTuple):
    added: int
    removed: int
    modified: int


def run(wanted: Parameters, call: Call) -> Outcome:
    """Compares."""
    if wanted.type == "json":
        return _of_json(_value("old", wanted, call), _value("new", wanted, call))
    return _of_text(_text("old", wanted, call), _text("new", wanted, call), wanted.format)


def _file(side: str, wanted: Parameters, call: Call) -> str | None:
    path: str | None = getattr(wanted, f"{side}_file")
    return None if path is None else call.files.read_text(path)


def _text(side: str, wanted: Parameters, call: Call) -> str:
    read = _file(side, wanted, call)
    text: str | None = getattr(wanted, f"{side}_text") if read is None else read
    if text is None:
        raise missing(f"{side}_text", "left" if side == "old" else "right", f"{side}_file")
    return text


def _value(side: str, wanted: Parameters, call: Call) -> Any:
    read = _file(side, wanted, call)
    value = getattr(wanted, f"{side}_json") if read is None else read
    if value is None:
        raise missing(f"{side}_json", f"{side}_file")
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_no_number)
    except ValueError as error:
        raise ToolFailure(f"{side}_json is not JSON: {error}") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON's")


# Texts


def _of_text(old: str, new: str, form: str) -> Outcome:
    before, after = _lines(old), _lines(new)
    counts = _counted(before, after)
    characters, pieces = 0, []
    for piece in _WRITERS[form](before, after):
        characters += len(piece)
        demand_length(characters, "the difference")
        pieces.append(piece)
    diff = "".join(pieces)
    result = {
        "type": "text",
        "diff": diff,
        "output": diff,
        "format": form,
        "stats": {"old_lines": len(before), "new_lines": len(after)},
        **_compared(old != new, counts),
    }
    return Outcome(operation="text_diff", result=result, output=diff, text=diff, message=_said(counts, "line"))


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only a line feed ends one: a carriage return, or another separator, is part of it."""
    return list(io.StringIO(text, newline="\n"))


def _matcher(old: Sequence[str], new: Sequence[str]) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, old, new)


def _counted(old: Sequence[str], new: Sequence[str]) -> _Counts:
    """Lines that were replaced count as modified as far as there are as many on both sides."""
    added = removed = modified = 0
    for tag, i, j, k, m in _matcher(old, new).get_opcodes():
        if tag != "equal":
            both = min(j - i, m - k)
            modified += both
            removed += j - i - both
            added += m - k - both
    return _Counts(added, removed, modified)


def _unified(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    return _ended(difflib.unified_diff(old, new, "old", "new"))


def _context(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    return _ended(difflib.context_diff(old, new, "old", "new"))


def _inline(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    def marked() -> Iterator[str]:
        for tag, i, j, k, m in _matcher(old, new).get_opcodes():
            if tag == "equal":
                yield from (f" {line}" for line in old[i:j])
            else:
                yield from (f"-{line}" for line in old[i:j])
                yield from (f"+{line}" for line in new[k:m])

    return _ended(marked())


def _simple(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    changes = [code for code in _matcher(old, new).get_opcodes() if code[0] != "equal"]
    yield f"Total changes: {len(changes)}\n\n"
    for tag, i, j, k, m in changes:
        if tag == "delete":
            yield f"Removed at line {i + 1}: {j - i} line(s)\n"
        elif tag == "insert":
            yield f"Added at line {k + 1}: {m - k} line(s)\n"
        else:
            yield f"Replaced at lines {i + 1}-{j} with lines {k + 1}-{m}\n"


def _ended(lines: Iterator[str]) -> Iterator[str]:
    """A line without an end is told as such, as diff does."""
    return (line if line.endswith("\n") else line + _NO_NEWLINE for line in lines)


_WRITERS = {"unified": _unified, "context": _context, "inline": _inline, "simple": _simple}


# JSON


def _of_json(old: Any, new: Any) -> Outcome:
    found: dict[str, Any] = {"added": {}, "removed": {}, "modified": {}, "unchanged": []}
    _compare(old, new, "", found)
    counts = _Counts(len(found["added"]), len(found["removed"]), len(found["modified"]))
    summary = {**counts._asdict(), "unchanged": len(found["unchanged"])}
    result = {"type": "json", **found, "diff": found, "output": found, **_compared(any(counts), counts)}
    return Outcome(
        operation="json_diff",
        result={**result, "summary": summary},
        output=found,
        message=_said(counts, "value"),
    )


def _compare(old: Any, new: Any, path: str, found: dict[str, Any]) -> None:
    """Notes what has become of every value, by its path; lists are compared whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        found["removed"].update({_below(path, key): value for key, value in old.items() if key not in new})
        for key in new:
            if key not in old:
                found["added"][_below(path, key)] = new[key]
            elif _same(old[key], new[key]):
                found["unchanged"].append(_below(path, key))
            else:
                _compare(old[key], new[key], _below(path, key), found)
    elif _same(old, new):
        found["unchanged"].append(path)
    elif isinstance(old, list) and isinstance(new, list):
        change = {"old": old, "new": new, "old_length": len(old), "new_length": len(new)}
        found["modified"][path or "[]"] = change
    else:
        found["modified"][path] = {"old": old, "new": new}


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _compared(differ: bool, counts: _Counts) -> dict[str, Any]:
    return {"has_differences": differ, "has_changes": differ, "summary": counts._asdict()}


def _said(counts: _Counts, what: str) -> str:
    if not any(counts):
        return "No differences"
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'} {name}" for name, count in counts._asdict().items())


TOOL = Tool(
    name="diff-calculator",
    description="Tells what has changed between two texts, files or JSON values.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read",),
    settings=("file_operations",),
    result=(
        "text: {diff, format, stats: {old_lines, new_lines}, has_differences, summary: {added, removed, modified}}; "
        "json: {added, removed, modified, unchanged, has_differences, summary}"
    ),
    keywords=("compare", "difference", "patch", "changes"),
    example={"old_text": "one\ntwo\n", "new_text": "one\nthree\n"},
)

"""file-search: looks for a text or a regular expression in a file, or in the files below a directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.entries import Entry
from llmspell_tools.limits.file_types import extension_of
from llmspell_tools.limits.files import Files
from llmspell_tools.parameters import ToolParameters, parameter

_MOST_MATCHES = 10_000
"""What one call gives at most."""
_LONGEST_LINE = 2000
"""How much of a line is shown, in characters."""
_LOOKED_AT_BYTES = 8192
"""Where a zero byte says that a file is no text, as grep has it."""
_TOLD_EVERY = 200
"""Files between two words of progress."""


class Parameters(ToolParameters):
    """What `file-search` is called with."""

    pattern: str = parameter("the text that is looked for; with `use_regex` a regular expression", also=("query",))
    path: str = parameter("the file, or the directory whose files are searched", also=("directory",))
    recursive: bool = parameter("whether directories below are searched as well", True)
    case_sensitive: bool = parameter("whether capital letters differ from small ones", True)
    use_regex: bool = parameter("whether the pattern is a regular expression (Python's)", False, also=("regex",))
    context_lines: int = parameter("how many lines before and after a match are given", 2, ge=0, le=100)
    include_extensions: list[str] | None = parameter("only files that end so, with or without a dot", None)
    exclude_extensions: list[str] = parameter("no files that end so", [])
    exclude_dirs: list[str] = parameter("names of directories that are left out", [])
    max_file_size: int = parameter("files with more bytes are left out", 10_485_760, ge=1)
    max_matches_per_file: int = parameter("as many of each file at most; 0: all", 0, ge=0)
    max_depth: int = parameter("how deep it goes; not deeper than tools.file_operations.max_depth", 20, ge=0)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Lists may be one name; an empty table of Lua is an empty list."""
        for name in ("include_extensions", "exclude_extensions", "exclude_dirs"):
            if isinstance(given.get(name), str):
                given[name] = [one.strip() for one in given[name].split(",")]
            elif given.get(name) == {}:
                given[name] = []
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Searches; files that are no text, too large or can't be read are told as skipped."""
    pattern = _compiled(wanted)
    matches: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    searched = 0
    truncated = False
    for path in _files(wanted, call.files):
        try:
            text = _text(path, wanted, call.files)
        except (ToolFailure, Forbidden) as problem:
            skipped.append({"file_path": path, "reason": problem.message})
            continue
        searched += 1
        limit = min(wanted.max_matches_per_file or _MOST_MATCHES, _MOST_MATCHES - len(matches))
        matches += _matches(path, text, pattern, wanted.context_lines, limit)
        if searched % _TOLD_EVERY == 0:
            call.progress(f"searched {searched} files", files_searched=searched, matches=len(matches))
        if len(matches) >= _MOST_MATCHES:
            truncated = True
            break
    result = {
        "matches": matches,
        "summary": {
            "total_matches": len(matches),
            "files_searched": searched,
            "files_skipped": len(skipped),
            "has_matches": bool(matches),
            "truncated": truncated,
        },
        "skipped_files": skipped,
    }
    return Outcome(
        operation="search",
        result=result,
        output=matches,
        text="\n".join(f"{one['file_path']}:{one['line_number']}: {one['line_content']}" for one in matches),
        message=f"{len(matches)} matches in {searched} files",
    )


def _compiled(wanted: Parameters) -> re.Pattern[str]:
    if not wanted.pattern:
        raise InvalidRequest("Parameter 'pattern' is empty")
    try:
        return re.compile(
            wanted.pattern if wanted.use_regex else re.escape(wanted.pattern),
            re.NOFLAG if wanted.case_sensitive else re.IGNORECASE,
        )
    except (re.error, OverflowError, RecursionError) as error:
        raise ToolFailure(f"the pattern is no regular expression: {error}") from None


def _files(wanted: Parameters, files: Files) -> Iterator[str]:
    """The paths of the files that are searched."""
    entry = files.entry(wanted.path)
    if entry is None:
        raise ToolFailure(f"{wanted.path}: no such file or directory", code="not_found")
    if entry.kind == "file":
        yield entry.path
        return
    wanted_ends = _ends(wanted.include_extensions) if wanted.include_extensions else None
    other_ends = _ends(wanted.exclude_extensions)
    left_out = frozenset(wanted.exclude_dirs)

    def enters(directory: Entry) -> bool:
        return directory.name not in left_out

    for one in files.walk(wanted.path, recursive=wanted.recursive, deepest=wanted.max_depth, enters=enters):
        end = extension_of(one.name)
        if one.kind == "file" and end not in other_ends and (wanted_ends is None or end in wanted_ends):
            yield one.path


def _ends(extensions: Sequence[str]) -> frozenset[str]:
    return frozenset(one.removeprefix("*").removeprefix(".").lower() for one in extensions)


def _text(path: str, wanted: Parameters, files: Files) -> str:
    data = files.read_bytes(path, largest_bytes=min(wanted.max_file_size, files.largest_bytes))
    if b"\0" in data[:_LOOKED_AT_BYTES]:
        raise ToolFailure(f"{path} is not text")
    return data.decode(errors="replace")


def _matches(path: str, text: str, pattern: re.Pattern[str], context: int, limit: int) -> Iterator[dict[str, Any]]:
    """Every match of each line, as far as `limit` goes."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        line = line.removesuffix("\r")
        for found in pattern.finditer(line):
            if limit <= 0:
                return
            limit -= 1
            yield {
                "file_path": path,
                "line_number": number + 1,
                "column_number": found.start() + 1,
                "line_content": line[:_LONGEST_LINE],
                "matched_text": found[0][:_LONGEST_LINE],
                "context_before": _shown(lines[max(0, number - context) : number]),
                "context_after": _shown(lines[number + 1 : number + 1 + context]),
            }


def _shown(lines: Sequence[str]) -> list[str]:
    return [line.removesuffix("\r")[:_LONGEST_LINE] for line in lines]


TOOL = Tool(
    name="file-search",
    description="Looks for a text or a regular expression in the files of a directory, and gives lines and context.",
    category="filesystem",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read",),
    settings=("file_operations",),
    result=(
        "{matches: [{file_path, line_number, column_number, line_content, matched_text, context_before, "
        "context_after}], summary: {total_matches, files_searched, files_skipped, has_matches, truncated}, "
        "skipped_files: [{file_path, reason}]}"
    ),
    keywords=("grep", "find", "search", "regex", "text"),
)

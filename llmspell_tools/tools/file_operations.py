"""file-operations: reads, writes, lists, copies, moves and removes files where the call may."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.entries import Entry
from llmspell_tools.limits.files import Files
from llmspell_tools.parameters import ToolParameters, missing, parameter

_SAME = {
    "mkdir": "create_dir",
    "create_directory": "create_dir",
    "ls": "list_dir",
    "dir": "list_dir",
    "list": "list_dir",
    "cp": "copy",
    "mv": "move",
    "rename": "move",
    "stat": "metadata",
    "info": "metadata",
}
"""Operations by their other names."""
_APPENDING = ("a", "append")
_REPLACING = ("w", "write", "overwrite", "create")

Operation = Literal[
    "read",
    "write",
    "append",
    "delete",
    "create_dir",
    "mkdir",
    "create_directory",
    "list_dir",
    "ls",
    "dir",
    "list",
    "copy",
    "cp",
    "move",
    "mv",
    "rename",
    "metadata",
    "stat",
    "info",
    "exists",
]


class Parameters(ToolParameters):
    """What `file-operations` is called with."""

    operation: Operation = parameter("what to do; mkdir, ls, dir, list, cp, mv, rename, stat, info are other names")
    path: str | None = parameter("the file or directory", None)
    input: str | None = parameter(
        "write, append: the content; a table or list is written as JSON", None, also=("content", "data")
    )
    source_path: str | None = parameter("copy, move: what; `path` is the same", None, also=("source",))
    target_path: str | None = parameter("copy, move: where to", None, also=("target", "destination"))
    recursive: bool = parameter(
        "list_dir: all below; delete, copy: a directory with all below; create_dir: those on the way", False
    )
    mode: str | None = parameter("write: append or overwrite; write, create_dir: permissions such as 0644", None)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What is no text is written as JSON."""
        content = given.get("input")
        if content is not None and not isinstance(content, str):
            given["input"] = json.dumps(content, ensure_ascii=False, indent=2)
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does one operation; every result holds `text`, which is what a reader is shown."""
    operation = _SAME.get(wanted.operation, wanted.operation)
    return _OPERATIONS[operation](wanted, call.files)


def _read(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    content = files.read_text(path)
    size = len(content.encode(errors="surrogateescape"))
    result = {"content": content, "text": content, "size": size, "path": path}
    return Outcome(operation="read", result=result, output=content, text=content, message=f"Read {size} bytes")


def _write(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    if wanted.input is None:
        raise missing("input", "content", "data")
    mode = wanted.mode.strip().lower() if wanted.mode is not None else None
    appends = wanted.operation == "append" or mode in _APPENDING
    permissions = None if mode in (None, *_APPENDING, *_REPLACING) else _permissions(mode)
    try:
        data = wanted.input.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise InvalidRequest("the content has half a character in it") from None
    written = files.write(path, data, append=appends)
    if permissions is not None:
        files.change_mode(path, permissions)
    result = {"path": path, "bytes_written": written, "content": wanted.input}
    return _done("append" if appends else "write", result, f"Wrote {written} bytes to {path}")


def _delete(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    count = files.remove(path, recursive=wanted.recursive)
    return _done("delete", {"path": path, "deleted": True, "entries": count}, f"Deleted {path}")


def _create_dir(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    permissions = None if wanted.mode is None else _permissions(wanted.mode.strip())
    # As the field's tools do it, with `recursive` or without.
    files.make_directory(path, parents=True)
    if permissions is not None:
        files.change_mode(path, permissions)
    return _done("create_dir", {"path": path, "created": True}, f"Created directory {path}")


def _list_dir(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    found = list(files.walk(path)) if wanted.recursive else files.list(path)
    entries = [_listed(one) for one in found]
    lines = [f"{entry['path'] if wanted.recursive else entry['name']}{_SUFFIX[entry['type']]}" for entry in entries]
    text = "\n".join(lines)
    result = {"path": path, "entries": entries, "files": entries, "count": len(entries), "text": text}
    return Outcome(operation="list_dir", result=result, text=text, message=f"{len(entries)} entries in {path}")


_SUFFIX = {"file": "", "directory": "/", "link": "@", "other": ""}


def _listed(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "path": entry.path, "type": entry.kind, "size": entry.size}


def _copy(wanted: Parameters, files: Files) -> Outcome:
    source, target = _both(wanted, files)
    kind = _kind(source, files)
    if kind == "directory":
        if not wanted.recursive:
            raise ToolFailure(f"{source} is a directory: copy it with recursive = true")
        size = _copy_below(source, target, files)
    else:
        size = files.copy(source, target)
    result = {"source_path": source, "target_path": target, "path": target, "bytes_copied": size, "copied": True}
    return _done("copy", result, f"Copied {source} to {target}")


def _copy_below(source: str, target: str, files: Files) -> int:
    """Copies a directory's files and directories; links are left out. Returns the size of all files."""
    # Before anything is made: the target may lie in the source.
    found = [one for one in files.walk(source) if one.kind in ("file", "directory")]
    beginning = len(files.absolute(source)) + 1
    files.make_directory(target, parents=True)
    size = 0
    for one in found:
        place = os.path.join(target, one.path[beginning:].lstrip("/"))
        if one.kind == "directory":
            files.make_directory(place)
        else:
            size += files.copy(one.path, place)
    return size


def _move(wanted: Parameters, files: Files) -> Outcome:
    source, target = _both(wanted, files)
    files.move(source, target)
    result = {"source_path": source, "target_path": target, "path": target, "moved": True}
    return _done("move", result, f"Moved {source} to {target}")


def _metadata(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    status = files.status(path)
    kind = _kind_of(status.st_mode)
    result = {
        "path": path,
        "size": status.st_size,
        "is_file": kind == "file",
        "is_dir": kind == "directory",
        "readonly": not status.st_mode & 0o222,
        "created": _time(getattr(status, "st_birthtime", status.st_ctime)),
        "modified": _time(status.st_mtime),
        "accessed": _time(status.st_atime),
    }
    return _done("metadata", result, f"{path}: {kind}, {status.st_size} bytes, modified {result['modified']}")


def _exists(wanted: Parameters, files: Files) -> Outcome:
    path = _path(wanted)
    exists = files.exists(path)
    text = f"Path {path} {'exists' if exists else 'does not exist'}"
    result = {"path": path, "exists": exists, "text": text}
    return Outcome(operation="exists", result=result, output=exists, text=text, message=text)


def _done(operation: str, result: dict[str, Any], text: str) -> Outcome:
    return Outcome(operation=operation, result={**result, "text": text}, text=text, message=text)


def _path(wanted: Parameters) -> str:
    if wanted.path is None:
        raise missing("path")
    return wanted.path


def _both(wanted: Parameters, files: Files) -> tuple[str, str]:
    """What is copied or moved, and where to: into a directory that is there, under its own name."""
    source = wanted.source_path if wanted.source_path is not None else wanted.path
    if source is None:
        raise missing("source_path", "source", "path")
    if wanted.target_path is None:
        raise missing("target_path", "target", "destination")
    target = wanted.target_path
    if _kind(target, files, readable=False) == "directory":
        target = os.path.join(target, os.path.basename(source.rstrip("/")))
    return source, target


def _kind(path: str, files: Files, *, readable: bool = True) -> str | None:
    """`file`, `directory` …, a link followed; None where nothing is."""
    try:
        return _kind_of((files.status if readable else files.status_to_write)(path).st_mode)
    except ToolFailure as failure:
        if readable or failure.code != "not_found":
            raise
        return None


def _kind_of(mode: int) -> str:
    # Seldom needed, and a tool's import should be short.
    import stat

    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "other"


def _permissions(mode: str) -> int:
    digits = mode.removeprefix("0o")
    if not digits or len(digits) > 4 or set(digits) - set("01234567") or int(digits, 8) > 0o777:
        raise InvalidRequest(
            f"Parameter 'mode': {mode} is neither append, overwrite, nor permissions such as 0644",
            details={"problems": [{"field": "mode", "message": "append, overwrite, or three octal digits"}]},
        )
    return int(digits, 8)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_OPERATIONS = {
    "read": _read,
    "write": _write,
    "append": _write,
    "delete": _delete,
    "create_dir": _create_dir,
    "list_dir": _list_dir,
    "copy": _copy,
    "move": _move,
    "metadata": _metadata,
    "exists": _exists,
}

TOOL = Tool(
    name="file-operations",
    description="Reads, writes, lists, copies, moves and deletes files and directories where the call may.",
    category="filesystem",
    level="privileged",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("file_operations",),
    result=(
        "read: {content, size, path}; write, append: {path, bytes_written, content}; exists: {path, exists}; list_dir: "
        "{path, entries: [{name, path, type, size}], files, count}; metadata: {path, size, is_file, is_dir, readonly, "
        "created, modified, accessed}; delete: {path, deleted, entries}; create_dir: {path, created}; copy: "
        "{source_path, target_path, path, bytes_copied, copied}; move: {source_path, target_path, path, moved}; "
        "each with `text`"
    ),
    keywords=("file", "directory", "read", "write", "copy", "move", "delete", "list"),
)

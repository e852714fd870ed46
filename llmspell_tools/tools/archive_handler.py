"""archive-handler: what is in an archive, getting it out, and making one."""

from __future__ import annotations

import os
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import IO, Any, BinaryIO, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.archives import (
    ENDINGS,
    BadArchive,
    Format,
    Limits,
    copied,
    demand_inside,
    format_named,
    format_of,
    members,
)
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, missing, parameter

_SETTINGS = "tools.archive-handler"


class Parameters(ToolParameters):
    """What `archive-handler` is called with."""

    operation: Literal["extract", "create", "list"] = parameter("what to do")
    path: str = parameter("the archive", also=("archive_path", "archive"))
    target_path: str | None = parameter(
        "extract: the directory; left out: one beside the archive, with its name", None, also=("output_dir", "target")
    )
    input: list[str] | None = parameter("create: files and directories", None, also=("files",))
    format: Format | None = parameter("create: left out: what the archive's name ends with", None)
    include_patterns: list[str] | None = parameter("create: only files with such a name, such as *.txt", None)
    compression_level: int = parameter("create: from 0, none, to 9", 6, ge=0, le=9)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`source` is the archive, or what one is made of; then `target_path` is the archive."""
        given = dict(given)
        source = given.pop("source_path", None) or given.pop("source", None)
        if given.get("operation") != "create":
            return {**given, "path": given.get("path") or source}
        if given.get("input") is None:
            given["input"] = source
        if isinstance(given["input"], str):
            given["input"] = [given["input"]]
        if given.get("path") is None:
            given["path"] = given.pop("target_path", None)
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    try:
        return {"list": _list, "extract": _extract, "create": _create}[wanted.operation](wanted, call)
    except BadArchive as error:
        raise ToolFailure(f"{wanted.path}: {error}") from None


def _limits(call: Call) -> Limits:
    """Those of the files, and the tool's own table."""
    own: Mapping[str, Any] = call.tables.get("archive-handler", {})
    named = {"entries": "max_entries", "total_bytes": "max_total_size", "ratio": "max_ratio"}
    return Limits(
        file_bytes=call.files.largest_bytes, **{field: int(own[key]) for field, key in named.items() if key in own}
    )


def _list(wanted: Parameters, call: Call) -> Outcome:
    limits = _limits(call)
    with call.files.open(wanted.path) as file:
        kind = format_of(file, wanted.path)
        files = []
        for member, content in members(file, kind, _size(file), _stem(wanted.path), limits):
            size = member.size
            if size < 0 and content is not None:
                # What is compressed alone doesn't say how much it is.
                with open(os.devnull, "wb") as nowhere:
                    size = copied(content, nowhere, member, limits.allowed(_size(file)), limits)
            one = {"name": member.name, "size": size, "is_dir": member.is_dir}
            files.append(one if member.skipped is None else {**one, "skipped": member.skipped})
    message = f"{len(files):,} entries"
    return Outcome(operation="list", result={"files": files, "format": kind}, output=files, message=message)


def _extract(wanted: Parameters, call: Call) -> Outcome:
    limits = _limits(call)
    target = wanted.target_path if wanted.target_path is not None else _beside(wanted.path)
    extracted: list[str] = []
    skipped: list[dict[str, str]] = []
    total = 0
    with call.files.open(wanted.path) as file:
        kind, size = format_of(file, wanted.path), _size(file)
        allowed = limits.allowed(size)
        # Before anything is written: a name that leads elsewhere, or a size that is too much, spoils all.
        announced = sum(max(member.size, 0) for member, _ in members(file, kind, size, _stem(wanted.path), limits))
        if announced > allowed:
            raise BadArchive(f"{announced:,} bytes would come out of it, {allowed:,} may ({_SETTINGS})")
        call.files.make_directory(target, parents=True)
        for member, content in members(file, kind, size, _stem(wanted.path), limits):
            if member.skipped is not None:
                skipped.append({"name": member.name, "reason": member.skipped})
                continue
            path = os.path.join(target, os.path.normpath(member.name))
            if member.is_dir:
                call.files.make_directory(path, parents=True)
            elif content is not None:
                call.files.make_directory(os.path.dirname(path), parents=True)
                with call.files.replacing(path) as written:
                    total += copied(content, written, member, allowed - total, limits)
                extracted.append(path)
                call.progress(member.name, files=len(extracted), total_size=total)
    result: dict[str, Any] = {"extracted_files": extracted, "total_size": total, "output_dir": target}
    if skipped:
        result["skipped"] = skipped
    said = f", {len(skipped)} skipped" if skipped else ""
    message = f"{len(extracted):,} files, {total:,} bytes, to {target}{said}"
    return Outcome(operation="extract", result=result, output=extracted, message=message)


def _create(wanted: Parameters, call: Call) -> Outcome:
    if not wanted.input:
        raise missing("input", "files", "source_path")
    kind = wanted.format or format_named(wanted.path)
    if kind is None:
        raise InvalidRequest(f"{wanted.path} ends with none of {' '.join(ENDINGS)}", hint="name the format")
    limits = _limits(call)
    sources = list(_sources(wanted, call, limits))
    if not sources:
        raise ToolFailure("there are no files to archive")
    if kind in ("gz", "bz2", "xz") and len(sources) > 1:
        raise InvalidRequest(f"{kind} takes a single file, not {len(sources)}", hint=f"take tar.{kind}")
    total, names = 0, []
    with call.files.replacing(wanted.path) as file, _Writing(file, kind, wanted.compression_level) as archive:
        for path, name, modified in sources:
            with call.files.open(path) as content:
                total += _size(content)
                if total > limits.total_bytes:
                    raise BadArchive(
                        f"more than {limits.total_bytes:,} bytes would be in it ({_SETTINGS}.max_total_size)"
                    )
                archive.add(name, content, _size(content), modified)
            names.append(name)
            call.progress(name, files=len(names), total_size=total)
    result = {
        "archive_path": wanted.path,
        "archived_files": names,
        "total_size": total,
        "compression_level": 0 if kind == "tar" else wanted.compression_level,
        "format": kind,
    }
    message = f"{len(names):,} files, {total:,} bytes, in {wanted.path}"
    return Outcome(operation="create", result=result, output=wanted.path, message=message)


def _sources(wanted: Parameters, call: Call, limits: Limits) -> Iterator[tuple[str, str, float]]:
    """Path, name in the archive, and time of every file: names begin with the last part of what was named."""
    archive = os.path.normpath(call.files.absolute(wanted.path))
    seen: set[str] = set()
    for source in wanted.input or ():
        whole = os.path.normpath(call.files.absolute(source))
        above = os.path.dirname(whole)
        found = call.files.entry(source)
        if found is None:
            raise ToolFailure(f"{source}: no such file or directory", code="not_found")
        entries = call.files.walk(source) if found.kind == "directory" else [found]
        for entry in entries:
            path = os.path.normpath(entry.path)
            # Links are not followed, and an archive is not in itself.
            if entry.kind != "file" or path == archive or not _included(entry.name, path, above, wanted):
                continue
            name = os.path.relpath(path, above)
            demand_inside(name)
            if name in seen:
                raise InvalidRequest(f"there would be two files '{name}' in the archive")
            if len(seen) >= limits.entries:
                raise BadArchive(f"more than {limits.entries:,} files would be in it ({_SETTINGS}.max_entries)")
            seen.add(name)
            yield path, name, entry.modified


def _included(name: str, path: str, above: str, wanted: Parameters) -> bool:
    patterns = wanted.include_patterns
    relative = os.path.relpath(path, above)
    return patterns is None or any(fnmatch(name, one) or fnmatch(relative, one) for one in patterns)


class _Writing:
    """An archive that is written: entries one after the other."""

    def __init__(self, file: BinaryIO, kind: Format, level: int) -> None:
        self._file, self._kind, self._level = file, kind, level

    def __enter__(self) -> _Writing:
        if self._kind == "zip":
            method = zipfile.ZIP_DEFLATED if self._level else zipfile.ZIP_STORED
            self._zip = zipfile.ZipFile(self._file, "w", method, compresslevel=self._level)
            self._closing: list[Any] = [self._zip]
            return self
        compression = self._kind.rpartition(".")[2]
        self._stream: Any = self._compressed(compression)
        self._closing = [] if self._stream is self._file else [self._stream]
        if "tar" in self._kind:
            self._tar = tarfile.open(fileobj=self._stream, mode="w|", format=tarfile.PAX_FORMAT)
            self._closing.insert(0, self._tar)
        return self

    def _compressed(self, compression: str) -> Any:
        import bz2
        import gzip
        import lzma

        if compression == "gz":
            return gzip.GzipFile("", "wb", self._level, self._file, mtime=0)
        if compression == "bz2":
            return bz2.BZ2File(self._file, "wb", compresslevel=max(self._level, 1))
        return lzma.LZMAFile(self._file, "wb", preset=self._level) if compression == "xz" else self._file

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        for one in self._closing:
            one.close()

    def add(self, name: str, content: IO[bytes], size: int, modified: float) -> None:
        """One file."""
        if self._kind == "zip":
            # Zip knows no time before 1980.
            info = zipfile.ZipInfo(name, time.localtime(max(modified, 315_619_200))[:6])
            info.compress_type = self._zip.compression
            info.external_attr = 0o100644 << 16
            with self._zip.open(info, "w") as entry:
                _copy(content, entry, size)
        elif "tar" in self._kind:
            described = tarfile.TarInfo(name)
            described.size, described.mtime = size, modified
            self._tar.addfile(described, content)
        else:
            _copy(content, self._stream, size)


def _copy(content: IO[bytes], target: Any, size: int) -> None:
    while size > 0 and (piece := content.read(min(size, 1 << 18))):
        size -= len(piece)
        target.write(piece)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _stem(path: str) -> str:
    """The name of what is compressed alone."""
    return os.path.splitext(os.path.basename(path))[0] or "content"


def _beside(path: str) -> str:
    """The directory with the archive's name."""
    ending = next((end for end in sorted(ENDINGS, key=len, reverse=True) if path.lower().endswith(end)), None)
    return path[: -len(ending)] if ending else f"{path}.extracted"


TOOL = Tool(
    name="archive-handler",
    description="Lists, extracts and makes archives: zip, tar, tar.gz, tar.bz2, tar.xz, and single gz, bz2, xz files.",
    category="filesystem",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("file_operations",),
    result=(
        "extract: {extracted_files, total_size, output_dir, skipped?}; create: {archive_path, archived_files, "
        "total_size, compression_level, format}; list: {files: [{name, size, is_dir}], format}"
    ),
    keywords=("zip", "tar", "gzip", "compress", "unpack"),
)

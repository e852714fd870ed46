"""What is in an archive (zip; tar, plain or compressed; one compressed file): its entries, one after the other.

An archive is hostile: names, sizes and compression are held to limits before and while they are read. Knows neither
where an archive comes from nor where its entries go.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Literal

Format = Literal["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "gz", "bz2", "xz"]

ENDINGS: Mapping[str, Format] = {
    ".zip": "zip", ".jar": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2", ".tar.xz": "tar.xz", ".txz": "tar.xz", ".gz": "gz", ".bz2": "bz2", ".xz": "xz",
}  # fmt: skip
_DECOMPRESSED: Mapping[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_MAGIC = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"))
_TAR_MAGIC = 257
_LONGEST_NAME = 1024
_PIECE = 1 << 18
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError,
    ValueError, RuntimeError,
)  # fmt: skip
"""What the libraries raise about what they read: RuntimeError is an encrypted entry."""


class BadArchive(Exception):
    """It can't be read, it is larger than it may be, or a name in it leads elsewhere; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may come out of one archive."""

    entries: int = 10_000
    total_bytes: int = 500_000_000
    file_bytes: int = 50_000_000
    ratio: int = 200
    """How many times an archive's own size may come out of it"""
    free_bytes: int = 10_000_000
    """What may come out at any ratio: small files of zeros are common"""

    def allowed(self, archive_bytes: int) -> int:
        """The most that may come out of an archive of this size."""
        return min(self.total_bytes, max(self.free_bytes, self.ratio * archive_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry. `skipped` says why it has no content that could be extracted: a link, a device."""

    name: str
    size: int
    is_dir: bool
    skipped: str | None = None


class _Counted:
    """A stream that ends in an error where more comes out of it than may."""

    def __init__(self, file: IO[bytes], allowed: int) -> None:
        self._file = file
        self._allowed = self._left = allowed

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left + 1 if size < 0 or size > self._left else size)
        self._left -= len(data)
        if self._left < 0:
            raise BadArchive(_too_much(self._allowed))
        return data


def format_of(file: BinaryIO, name: str) -> Format:
    """What an archive is by its first bytes; the name decides whether what is compressed is a tar.

    Raises:
        BadArchive: it is none of them.
    """
    head = file.read(512)
    file.seek(0)
    if head[_TAR_MAGIC : _TAR_MAGIC + 5] == b"ustar":
        return "tar"
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if kind is None:
        if format_named(name) == "tar":
            return "tar"
        raise BadArchive("it is neither a zip, nor a tar, nor compressed by gzip, bzip2 or xz")
    if kind == "zip":
        return "zip"
    try:
        with _DECOMPRESSED[kind](file) as inner:
            is_tar = inner.read(512)[_TAR_MAGIC : _TAR_MAGIC + 5] == b"ustar"
    except _BROKEN as error:
        raise BadArchive(f"it is damaged: {error}") from None
    finally:
        file.seek(0)
    return f"tar.{kind}" if is_tar or (format_named(name) or "").startswith("tar.") else kind  # type: ignore[return-value]


def format_named(name: str) -> Format | None:
    """The format that a file's name ends with."""
    lower = name.lower()
    return next((ENDINGS[end] for end in sorted(ENDINGS, key=len, reverse=True) if lower.endswith(end)), None)


def members(
    file: BinaryIO, kind: Format, size: int, stem: str, limits: Limits
) -> Iterator[tuple[Member, IO[bytes] | None]]:
    """Every entry, and its content where it has one, to be read before the next is asked for.

    `size` is the archive's own; `stem` the name of the one entry of a compressed file.

    Raises:
        BadArchive: see there.
    """
    file.seek(0)
    reading = _zip(file) if kind == "zip" else _tar(file, kind, size, limits) if "tar" in kind else None
    try:
        if reading is None:
            reading = _alone(file, kind, stem)
        count = 0
        for count, (member, content) in enumerate(reading, start=1):
            if count > limits.entries:
                raise BadArchive(f"there are more than {limits.entries:,} entries in it")
            if member.skipped is None:
                demand_inside(member.name)
            yield member, content
    except _BROKEN as error:
        raise BadArchive(f"it is damaged: {_said(error)}") from None


def demand_inside(name: str) -> None:
    """Raises `BadArchive` for a name that is not one of a file or directory beneath where the archive is extracted."""
    parts = name.rstrip("/").split("/")
    wrong = (
        "is empty" if not name.strip("/ ")
        else "begins at the root" if name.startswith("/")
        else "leads upwards" if ".." in parts
        else "has a character in it that no name may have" if any(ord(one) < 32 or ord(one) == 127 for one in name)
        else "has a backslash in it" if "\\" in name
        else "names a drive" if name[1:2] == ":"
        else "is too long" if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME
        or any(len(part.encode(errors="surrogateescape")) > 255 for part in parts)
        else None
    )  # fmt: skip
    if wrong is not None:
        raise BadArchive(f"the name {name[:100]!r} in it {wrong}")


def copied(content: IO[bytes], target: BinaryIO, member: Member, left: int, limits: Limits) -> int:
    """Copies an entry's content, and returns how many bytes it had; `left` is what the whole archive may still give.

    Raises:
        BadArchive: it has more than it may, whatever it said.
    """
    count = 0
    try:
        while piece := content.read(_PIECE):
            count += len(piece)
            if count > limits.file_bytes:
                raise BadArchive(f"{member.name} has more than {limits.file_bytes:,} bytes")
            if count > left:
                raise BadArchive(_too_much(left))
            target.write(piece)
    except _BROKEN as error:
        raise BadArchive(f"{member.name}: {_said(error)}") from None
    return count


def _zip(file: BinaryIO) -> Iterator[tuple[Member, IO[bytes] | None]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
            skipped = None if is_plain else "it is a link" if stat.S_ISLNK(mode) else "it is no file"
            # What zipfile made of the name would hide what it was.
            member = Member(
                name=info.orig_filename or info.filename, size=info.file_size, is_dir=info.is_dir(), skipped=skipped
            )
            if skipped is None and not member.is_dir:
                with archive.open(info) as content:
                    yield member, content
            else:
                yield member, None


def _tar(file: BinaryIO, kind: str, size: int, limits: Limits) -> Iterator[tuple[Member, IO[bytes] | None]]:
    compression = kind.partition(".")[2]
    inner = _DECOMPRESSED[compression](file) if compression else file
    # Headers count as well: an archive of nothing but long names is one too.
    allowed = limits.allowed(size) + limits.free_bytes if compression else max(size, 1)
    with tarfile.open(fileobj=_Counted(inner, allowed), mode="r|", errorlevel=1) as archive:  # type: ignore[call-overload]
        for info in archive:
            what = (
                None if info.isreg() or info.isdir()
                else "it is a link" if info.issym() or info.islnk()
                else "it is no file"
            )  # fmt: skip
            member = Member(name=info.name, size=info.size, is_dir=info.isdir(), skipped=what)
            yield member, archive.extractfile(info) if info.isreg() else None
            # It keeps all that it has seen.
            archive.members = []


def _alone(file: BinaryIO, kind: str, stem: str) -> Iterator[tuple[Member, IO[bytes] | None]]:
    with _DECOMPRESSED[kind](file) as content:
        yield Member(name=stem, size=-1, is_dir=False), content


def _too_much(allowed: int) -> str:
    return f"more than {allowed:,} bytes come out of it, which is more than an archive of its size may have in it"


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__

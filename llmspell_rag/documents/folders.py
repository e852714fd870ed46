"""Which files of a directory are documents: globs, ignore files, hidden files, links. Opens nothing but ignore files.

What is not taken is told with the reason. A link is never followed: what it leads to below the same directory is found
where it is, and what lies elsewhere was not asked for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from llmspell_protocol.beneath import NotPlain, Places, directory_beneath, open_beneath, open_plain
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.reading import Found, Skipped, Walk
from llmspell_rag.documents import media_types
from llmspell_rag.libraries import library

IGNORE_FILES = (".gitignore", ".ignore", ".llmspellignore")
"""In each directory, the later above the former, those of inner directories above those of outer ones."""
_NEVER = frozenset({".git", ".hg", ".svn"})
"""The books of version control: never documents, hidden files wanted or not."""
_LARGEST_IGNORE_BYTES = 1 << 20
_DEEPEST = 100


def walk(path: str, wanted: Walk, places: Places) -> Iterator[Found | Skipped]:
    """A file, or all files below a directory, in the order of their names; `places` is what may be reached.

    Of what is wanted the globs, the hidden files and the largest size count.

    A file that is named itself is taken whatever it is called; a link in the place of `path` is followed.

    Raises:
        NotBeneath: the path is in none of the places.
        OSError: there is nothing at the path, or it can't be looked at.
        InvalidRequest: what is no glob.
        Unsupported: the library for globs isn't installed.
    """
    if os.path.isdir(path):
        with directory_beneath(places, path) as descriptor:
            yield from _Walk(path, wanted).below(descriptor)
        return
    try:
        descriptor = open_beneath(places, path, os.O_RDONLY)
    except NotPlain:
        yield Skipped(path=path, reason="it is no plain file")
        return
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    yield _taken(path, found, wanted, media_types.of_name(path) or media_types.PLAIN)


class _Walk:
    """One directory's walk; `top` is what it was called."""

    def __init__(self, top: str, wanted: Walk) -> None:
        self._specs = library("pathspec", "pathspec", "reading directories").GitIgnoreSpec
        self._shown = top
        self._wanted = wanted
        self._include = self._globs(wanted.include, "include") if wanted.include else None
        self._exclude = self._globs(wanted.exclude, "exclude")

    def below(self, descriptor: int) -> Iterator[Found | Skipped]:
        """All that is in a directory and below it."""
        yield from self._directory(descriptor, "", ())

    def _directory(self, descriptor: int, at: str, above: tuple[tuple[str, Any], ...]) -> Iterator[Found | Skipped]:
        """What is in one directory; `at` is its path from the top with a slash at the end, `above` the ignore files."""
        ignoring = (*above, *((at, spec) for spec in self._ignore_files(descriptor)))
        for name in sorted(os.listdir(descriptor)):
            inner = at + name
            shown = os.path.join(self._shown, inner)
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):  # It went meanwhile.
                    yield Skipped(path=shown, reason=_said(error))
                continue
            is_directory = stat.S_ISDIR(found.st_mode)
            reason = self._reason(name, inner, found.st_mode, ignoring)
            if reason is not None:
                # What is hidden, ignored or not asked for is much, and meant.
                if reason:
                    yield Skipped(path=_legible(shown), reason=reason)
            elif is_directory:
                yield from self._inner(descriptor, name, inner, ignoring)
            else:
                yield self._file(shown, inner, found)

    def _inner(
        self, descriptor: int, name: str, inner: str, ignoring: tuple[tuple[str, Any], ...]
    ) -> Iterator[Found | Skipped]:
        shown = os.path.join(self._shown, inner)
        if inner.count("/") >= _DEEPEST:
            yield Skipped(path=shown, reason=f"it is more than {_DEEPEST} directories deep")
            return
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        except OSError as error:
            yield Skipped(path=shown, reason=_said(error))
            return
        try:
            yield from self._directory(below, inner + "/", ignoring)
        finally:
            os.close(below)

    def _reason(self, name: str, inner: str, mode: int, ignoring: tuple[tuple[str, Any], ...]) -> str | None:
        """Why it is not looked at; empty where that goes without saying; None where it is."""
        is_directory = stat.S_ISDIR(mode)
        if name in _NEVER or (name.startswith(".") and not self._wanted.hidden):
            return ""
        if _is_ignored(inner + "/" if is_directory else inner, ignoring):
            return ""
        if self._exclude.match_file(inner + "/" if is_directory else inner):
            return ""
        if self._include is not None and not is_directory and not self._include.match_file(inner):
            return ""
        if stat.S_ISLNK(mode):
            return self._link(inner)
        if not is_directory and not stat.S_ISREG(mode):
            return "it is no plain file"
        if not _is_text(name):  # It could neither be stored nor found again.
            return "its name is not UTF-8: rename it"
        return None

    def _link(self, inner: str) -> str:
        top = os.path.realpath(self._shown)
        target = os.path.realpath(os.path.join(top, inner))
        if target == top or target.startswith(top.rstrip("/") + "/"):
            return "it is a link: what it leads to is taken where it is"
        return "it is a link out of the directory"

    def _file(self, shown: str, inner: str, found: os.stat_result) -> Found | Skipped:
        kind = media_types.of_name(inner) or (media_types.PLAIN if self._include is not None else None)
        if kind is None:
            ending = os.path.splitext(inner)[1]
            what = f"files that end with {ending}" if ending else "files without an ending"
            return Skipped(
                path=shown, reason=f"{what} are no kind of document that is known; include takes them as text"
            )
        return _taken(shown, found, self._wanted, kind)

    def _ignore_files(self, descriptor: int) -> Iterator[Any]:
        for name in IGNORE_FILES:
            try:
                file = os.fdopen(open_plain(name, os.O_RDONLY, descriptor), "rb")
            except (OSError, NotPlain):
                continue
            with file:
                data = file.read(_LARGEST_IGNORE_BYTES)
            yield self._specs.from_lines(filter(self._is_glob, data.decode(errors="replace").splitlines()))

    def _is_glob(self, line: str) -> bool:
        """A line that is none says nothing, as git has it."""
        try:
            self._specs.from_lines([line])
        except ValueError:
            return False
        return True

    def _globs(self, lines: Sequence[str], what: str) -> Any:
        try:
            return self._specs.from_lines(lines)
        except ValueError as error:
            raise InvalidRequest(f"{what}: {error}", hint="globs are as in .gitignore: *.md, docs/**") from None


def _taken(path: str, found: os.stat_result, wanted: Walk, kind: str) -> Found | Skipped:
    if wanted.largest_bytes is not None and found.st_size > wanted.largest_bytes:
        return Skipped(path=path, reason=f"it has {found.st_size:,} bytes, more than {wanted.largest_bytes:,}")
    if not found.st_size:
        return Skipped(path=path, reason="it is empty")
    return Found(path=path, size=found.st_size, mtime_ns=found.st_mtime_ns, media_type=kind)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: other bytes are lone surrogates, which nothing can be sent or stored with."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _legible(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def _is_ignored(inner: str, ignoring: tuple[tuple[str, Any], ...]) -> bool:
    """What the innermost ignore file that knows the path says of it."""
    for at, spec in reversed(ignoring):
        said = spec.check_file(inner[len(at) :]).include
        if said is not None:
            return bool(said)
    return False


def _said(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

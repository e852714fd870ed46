"""Whether a downloaded file is the one that was announced. Knows sums and parts, not where the bytes come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from llmspell_protocol.errors import ChecksumMismatch
from llmspell_providers.pulls.sources.pull_directory import PullDirectory
from llmspell_providers.pulls.sources.remote import LocalFile


class Difference(NamedTuple):
    """Which sum was announced, and which one the bytes have; `kind` says what is summed, and how."""

    kind: str
    expected: str
    actual: str


def sha256_difference(announced: str | None, landed: LocalFile) -> Difference | None:
    """The difference, None where there is none or no SHA-256 was announced."""
    if announced in (None, landed.sha256):
        return None
    return Difference("sha256", announced, landed.sha256)


def git_difference(announced: str | None, landed: LocalFile) -> Difference | None:
    """Of a file that git keeps itself, a small one: SHA-1 over `blob`, the size and the bytes. None as above."""
    if announced is None:
        return None
    blob = b"blob %d\0" % landed.size_bytes + landed.path.read_bytes()
    actual = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
    return None if actual == announced else Difference("git object", announced, actual)


def mismatch(name: str, wrong: Difference) -> ChecksumMismatch:
    """The error for a file whose sum differs."""
    return ChecksumMismatch(
        f"'{name}' is not the announced file: {wrong.kind} {wrong.actual} in place of {wrong.expected}",
        hint="try again later; the source may be broken or tampered with",
        details={"file": name, "expected": wrong.expected, "actual": wrong.actual},
    )


def fetch_compared(
    partial: PullDirectory,
    name: str,
    fetch: Callable[[], LocalFile],
    difference: Callable[[LocalFile], Difference | None],
) -> LocalFile:
    """The file that `fetch` brings: the announced one, or nothing of it stays.

    `fetch` goes on with the bytes in the file's part. Those of an earlier pull may be the wrong ones (of another
    source, or a disk failed), so after them it is called once more, from the start.

    Raises:
        ChecksumMismatch: the bytes are not the announced ones; they were deleted.
    """
    landed = fetch()
    wrong = difference(landed)
    if wrong and landed.resumed_from:
        partial.part(name).unlink()
        landed = fetch()
        wrong = difference(landed)
    if wrong:
        partial.discard(name)
        raise mismatch(name, wrong)
    return landed

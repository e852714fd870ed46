"""The messages between the kernel and a pull worker: an order, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.pulls import DownloadStatus, Linked, PulledFile, PullResult
from llmspell_providers.library.manifest import Manifest
from llmspell_providers.library.store import Store

BACKEND = "candle"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOrder:
    """What a worker is to do: the model's name, where to look, and what is known beforehand.

    `revision`: a commit named in the request, so that another installed commit does not count.
    `variant_follows`: the repository's quantization, once chosen, becomes the variant. `sha256` and `size_bytes` are of
    the one file that `addresses` name. `public_only`: an address of the web may not lead to this machine or into its
    network. `links`: files of this machine, which are `owner`'s, are used where they are and never copied.
    """

    directory: str
    name: str
    variant: str | None = None
    variant_follows: bool = False
    format: str | None = None
    quantization: str | None = None
    addresses: tuple[str, ...]
    revision: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    license: str | None = None
    force: bool = False
    public_only: bool = False
    links: bool = False
    owner: str | None = None

    @property
    def id(self) -> str:
        """The model's name as commands take it."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    @classmethod
    def from_frame(cls, frame: Mapping[str, Any]) -> PullOrder:
        """The order in a `pull` frame."""
        values = {item.name: frame[item.name] for item in fields(cls)}
        return cls(**{**values, "addresses": tuple(values["addresses"])})


def shown_address(address: str) -> str:
    """An address as it may be shown and kept: without password and without a query, which may be a signature."""
    if not address.startswith(("https://", "http://")):
        return address
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def already_installed(manifest: Manifest, wanted: str | None = None) -> InvalidRequest:
    """The error for a pull that would replace a model of the same name by another one."""
    meant = f"; {wanted}" if wanted else ""
    return InvalidRequest(
        f"'{manifest.id}' is already installed, from {manifest.source}{meant}",
        hint=f"llmspell model pull --force replaces it, llmspell model remove {manifest.id} deletes it; a file gets"
        " another name with llmspell model import FILE --name NAME",
        details={"model": manifest.id, "source": manifest.source},
    )


def pull_result(store: Store, manifest: Manifest, download_status: DownloadStatus) -> PullResult:
    """The result of a pull that left this manifest."""
    return PullResult(
        model_id=manifest.id,
        backend=BACKEND,
        download_status=download_status,
        bytes_downloaded=manifest.size_bytes if download_status == "complete" else 0,
        bytes_total=manifest.size_bytes,
        sha256=manifest.main_file.sha256,
        resumed_from=0,
        path=str(store.path(manifest)),
        format=manifest.format,
        source=manifest.source,
        files=tuple(PulledFile(name=file.name, size_bytes=file.size_bytes) for file in manifest.files),
        owner=manifest.owner,
        linked=_linked(store.path(manifest)) if manifest.owner else None,
    )


def _linked(path: Path) -> Linked:
    return "symbolic" if path.is_symlink() else "hard"

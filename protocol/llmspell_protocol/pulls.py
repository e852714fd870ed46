"""What requests and replies say about pulls: how far one is, and what it has brought. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llmspell_protocol.structs import Struct

Phase = Literal["resolving", "downloading", "verifying", "complete"]
DownloadStatus = Literal["complete", "already_present"]
Linked = Literal["hard", "symbolic"]


class PulledFile(Struct):
    """One file of a pulled model."""

    name: str
    size_bytes: int


class PullProgress(Struct):
    """Where a pull stands; the last one has phase `complete` and `result`.

    Bytes are those of all files together. `files` is there once, before the first byte comes: what will be downloaded,
    and in `reason` why these, where there was a choice. Later a `reason` says what is waited for.
    """

    phase: Phase
    file: str | None = None
    bytes_downloaded: int = 0
    bytes_total: int | None = None
    percent_complete: float = 0.0
    bytes_per_second: float | None = None
    eta_s: float | None = None
    files: Sequence[PulledFile] = ()
    reason: str | None = None
    result: PullResult | None = None


class PullResult(Struct):
    """A finished pull; `resumed_from` is a byte offset."""

    model_id: str
    backend: str
    download_status: DownloadStatus
    bytes_downloaded: int
    bytes_total: int
    sha256: str | None
    resumed_from: int
    """bytes that an earlier pull had left"""
    path: str | None
    format: str | None
    source: str | None
    files: Sequence[PulledFile] = ()
    owner: str | None = None
    """whose files these are, where they are used as they are"""
    linked: Linked | None = None
    """how: by another name on the same disk, or by a symbolic link"""
    warnings: Sequence[str] = ()
    """what its program gives it beside its files, and was not taken over"""

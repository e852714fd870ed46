"""What a download goes on with after a cut: only with the file of which the beginning came."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from llmspell_providers.pulls.sources import download
from llmspell_providers.pulls.sources.download import Downloader
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.pull_directory import PullDirectory
from llmspell_providers.pulls.sources.remote import LocalFile, RemoteFile, SourceFailed

_OLD, _NEW = b"a" * 600 + b"b" * 400, b"c" * 600 + b"d" * 400
_DATE, _LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"

Headers = dict[str, str]


class _CutAt(httpx2.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, data: bytes, at: int | None) -> None:
        self._data, self._at = data, at

    def __iter__(self) -> Iterator[bytes]:
        yield self._data[: self._at]
        if self._at is not None:
            raise httpx2.ReadError("cut")


@dataclass
class _Server:
    """Serves the old file, cut after 300 bytes, and another afterwards."""

    old: Headers
    new: Headers
    later: bytes = _NEW
    looks_at_if_range: bool = True
    starts_at: Callable[[int], int] = lambda start: start
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append((wanted, condition))
        is_first = len(self.asked) == 1
        data, headers = (_OLD, self.old) if is_first else (self.later, self.new)
        is_whole = wanted is None or (self.looks_at_if_range and condition not in (None, *headers.values()))
        start = 0 if is_whole else self.starts_at(int(str(wanted).removeprefix("bytes=").rstrip("-")))
        headers = {**headers, "Content-Length": str(len(data) - start)}
        if not is_whole:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        stream = _CutAt(data[start:], 300 if is_first else None)
        return httpx2.Response(200 if is_whole else 206, headers=headers, stream=stream)


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bytes, LocalFile]]:
    """Downloads from a server; the bytes on the disk and what is said of them."""
    monkeypatch.setattr(download, "_BACKOFF_S", 0.0)

    def run(server: _Server, *, sha256: str | None = None) -> tuple[bytes, LocalFile]:
        partial, _ = PullDirectory.acquire(tmp_path / "pull", lambda done, total: None)
        try:
            with httpx2.Client(transport=httpx2.MockTransport(server)) as client:
                downloader = Downloader(partial, Meter(lambda progress: None), client)
                file = RemoteFile(name="m.gguf", url="http://localhost/m.gguf", sha256=sha256)
                landed = downloader.fetch(file)
            return landed.path.read_bytes(), landed
        finally:
            partial.close()

    return run


Fetch = Callable[..., tuple[bytes, LocalFile]]


@pytest.mark.parametrize("looks_at_if_range", [True, False])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"ETag": '"1"'}, {"ETag": '"2"'}, id="tag"),
        pytest.param({"Last-Modified": _DATE}, {"Last-Modified": _LATER}, id="date"),
        pytest.param({"ETag": 'W/"1"', "Last-Modified": _DATE}, {"ETag": 'W/"1"', "Last-Modified": _LATER}, id="weak"),
        pytest.param({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, id="nothing that tells"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_a_file_that_changed_after_a_cut_is_fetched_anew(
    fetch: Fetch, old: Headers, new: Headers, looks_at_if_range: bool
) -> None:
    server = _Server(old, new, looks_at_if_range=looks_at_if_range)

    data, landed = fetch(server)

    assert data == _NEW
    assert landed.sha256 == hashlib.sha256(_NEW).hexdigest()


def test_a_file_that_grew_is_not_continued_by_a_server_that_keeps_its_tag(fetch: Fetch) -> None:
    tag = {"ETag": '"1"'}

    assert fetch(_Server(tag, tag, later=_NEW + b"more"))[0] == _NEW + b"more"


@pytest.mark.parametrize("later", [{"ETag": '"1"'}, {}])
def test_the_same_file_goes_on_where_it_broke_off(fetch: Fetch, later: Headers) -> None:
    server = _Server({"ETag": '"1"'}, later, later=_OLD, looks_at_if_range=False)

    assert fetch(server)[0] == _OLD
    assert server.asked == [(None, None), ("bytes=300-", '"1"')]


@pytest.mark.parametrize("shift", [-300, -64, 64])
@pytest.mark.parametrize("sha256", [None, hashlib.sha256(_OLD).hexdigest()])
def test_an_answer_that_starts_elsewhere_leads_to_a_new_beginning(fetch: Fetch, shift: int, sha256: str | None) -> None:
    tag = {"ETag": '"1"'}
    server = _Server(tag, tag, later=_OLD, starts_at=lambda start: start + shift)

    assert fetch(server, sha256=sha256)[0] == _OLD
    assert [wanted for wanted, _ in server.asked] == [None, "bytes=300-", None]


def test_a_server_that_never_starts_where_it_should_is_given_up(fetch: Fetch) -> None:
    def serve(request: httpx2.Request) -> httpx2.Response:
        headers = {"Content-Range": "bytes 7-999/1000", "Content-Length": "993", "ETag": '"1"'}
        return httpx2.Response(206, headers=headers, stream=_CutAt(_OLD[7:], None))

    with pytest.raises(SourceFailed, match="Content-Range 'bytes 7-999/1000'"):
        fetch(serve)

"""Answers of servers that lie: read up to a limit, decoded, and into nothing but the types that were expected."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from llmspell_providers.http.bodies import read_json, without_body
from llmspell_providers.pulls.sources.choose import choose_checkpoint, choose_gguf, require_distinct
from llmspell_providers.pulls.sources.hub_listing import repository_of
from llmspell_providers.pulls.sources.remote import SourceFailed

LIMIT = 1 << 20
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Pieces(httpx2.SyncByteStream):
    """A body in pieces, which counts how many were taken and whether it was closed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.taken += 1
            yield piece

    def close(self) -> None:
        self.closed = True


def _response(stream: _Pieces, status: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=named, stream=stream, request=httpx2.Request("GET", "https://h/"))


def _endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


@pytest.mark.parametrize(
    ("encoding", "pack"), [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("x-gzip", gzip.compress)]
)
def test_what_is_short_enough_is_read_in_every_encoding_that_was_asked_for(encoding: str, pack: Any) -> None:
    body = pack(json.dumps({"a": ["b", 1]}).encode())
    stream = _Pieces(iter([body[:5], body[5:]]))

    assert read_json(_response(stream, Content_Encoding=encoding), deadline_s=5) == {"a": ["b", 1]}


@pytest.mark.parametrize(
    ("pieces", "encoding", "why"),
    [
        pytest.param(_endless(b"[" * 65536), "", "longer than 1 MiB", id="endless"),
        pytest.param(_endless(b' "a",'), "", "longer than 1 MiB", id="endless in small pieces"),
        pytest.param(iter([gzip.compress(b" " * (256 << 20))]), "gzip", "longer than 1 MiB", id="a bomb"),
        pytest.param(iter([zlib.compress(b" " * (256 << 20))]), "deflate", "longer than 1 MiB", id="another bomb"),
        pytest.param(iter([b"{}"]), "br", "not asked for", id="another encoding"),
        pytest.param(iter([b"{}"]), "gzip, gzip", "not asked for", id="twice packed"),
        pytest.param(iter([b"{}"]), "gzip", "not compressed as it says", id="not packed"),
        pytest.param(iter([b"[" * 100_000]), "", "nested too deep", id="deep"),
        pytest.param(iter([b'{"a":' * 100_000]), "", "nested too deep", id="deep maps"),
        pytest.param(iter([b"<html>"]), "", "not JSON", id="a page"),
        pytest.param(iter([]), "", "not JSON", id="nothing"),
        pytest.param(iter([b'{"a": "\xff"}']), "", "not JSON", id="no UTF-8"),
        pytest.param(iter([b'{"a": ' + b"9" * 5000 + b"}"]), "", "not JSON", id="a long number"),
        pytest.param(iter([gzip.compress(b"[1, 2]")[:-12]]), "gzip", "not JSON", id="cut"),
    ],
)
def test_a_body_that_is_none_is_refused_in_bounded_memory(pieces: Iterator[bytes], encoding: str, why: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=why):
            read_json(_response(_Pieces(pieces), Content_Encoding=encoding), deadline_s=60, most_bytes=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 16 * LIMIT
    finally:
        tracemalloc.stop()


def test_a_body_that_does_not_end_in_time_is_given_up() -> None:
    with pytest.raises(ValueError, match="was not there after 0 s"):
        read_json(_response(_Pieces(_endless(b" "))), deadline_s=0)


def test_the_body_of_an_error_or_a_redirect_is_never_read_to_an_end_that_may_not_come() -> None:
    endless, short = _Pieces(_endless(b"x" * 1000)), _Pieces(iter([b"not found"]))
    for stream, headers in ((endless, {"Content_Encoding": "gzip"}), (short, {"Content_Length": "9"})):
        response = _response(stream, 302, **headers)
        without_body(response)
        assert response.read() == b""
        assert stream.closed
    assert endless.taken == 0
    assert short.taken == 1, "so that the connection can be used again"


SIBLING = {"rfilename": "a.Q4_K_M.gguf", "size": 7, "blobId": "0" * 40, "lfs": {"sha256": "a" * 64}}
LISTING: dict[str, Any] = {"sha": COMMIT, "gated": False, "tags": ["license:mit"], "siblings": [SIBLING]}
DEEP: Any = {}
for _ in range(500):
    DEEP = {"a": DEEP}
WRONG: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**400, float("nan"), "", "x", "\ud800", [], [None], {}, DEEP)
FIELDS = (*LISTING, *(f"siblings.{name}" for name in SIBLING), "siblings.lfs.sha256", "siblings.", "")


def _with(field: str, value: Any) -> Any:
    content = json.loads(json.dumps(LISTING))
    if not field:
        return value
    *_, last = field.split(".")
    if field == "siblings.":
        content["siblings"][0] = value
    elif field.startswith("siblings.lfs."):
        content["siblings"][0]["lfs"][last] = value
    elif field.startswith("siblings."):
        content["siblings"][0][last] = value
    else:
        content[field] = value
    return content


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_a_listing_of_wrong_types_is_a_listing_or_a_reason(field: str, value: Any) -> None:
    why = None
    try:
        found = repository_of("org/repo", _with(field, value))
    except ValueError as error:
        why = str(error)
    if why is not None:
        assert len(why.encode()) < 200
        return
    assert isinstance(found.commit, str)
    for path, file in found.files.items():
        assert path.isprintable()
        assert file.size_bytes is None or 0 <= file.size_bytes <= 1 << 62
        assert file.sha256 is None or len(file.sha256) == 64
        assert file.git_sha1 is None or len(file.git_sha1) == 40
    assert found.license is None or isinstance(found.license, str)


@pytest.mark.parametrize(
    "path", ["../x.gguf", "/x.gguf", "a/../x.gguf", "a//x.gguf", "./x.gguf", "a\\x.gguf", "a\0x.gguf", "x" * 2000, ""]
)
def test_a_path_that_leaves_its_repository_is_never_asked_for(path: str) -> None:
    assert repository_of("org/repo", _with("siblings.rfilename", path)).files == {}


@pytest.mark.parametrize(
    ("names", "quantization"),
    [
        pytest.param([f"{n}.Q4_K_M.gguf" for n in range(200_000)], None, id="one quantization"),
        pytest.param([f"m.Q{n % 9}_{n}.gguf" for n in range(200_000)], "Q4_K_M", id="many quantizations"),
        pytest.param([f"{n}.gguf" for n in range(200_000)], None, id="none"),
        pytest.param(["x" * 1000 + f"{n}.gguf" for n in range(100)], None, id="long names"),
    ],
)
def test_an_error_about_many_files_names_a_few_and_their_number(names: list[str], quantization: str | None) -> None:
    from llmspell_protocol.errors import InvalidRequest

    with pytest.raises(InvalidRequest) as caught:
        choose_gguf("org/repo", names, quantization)

    assert len(caught.value.message) < 2500
    assert "more" in caught.value.message
    assert caught.value.details["count"] == len(names)
    assert len(caught.value.details["files"]) <= 10


def test_a_model_of_too_many_files_or_of_two_with_one_name_is_refused() -> None:
    for names in ([f"m-{n:05}-of-99999.gguf" for n in range(99_999)], ["a/config.json", "a/config.json"]):
        with pytest.raises(SourceFailed) as caught:
            require_distinct("org/repo", names)
        assert len(caught.value.reason) < 200
    assert choose_checkpoint("org/repo", [f"{n}.txt" for n in range(200_000)]) == []

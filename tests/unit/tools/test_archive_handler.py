"""archive-handler: every format and operation, and archives that are made to harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool

KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tgz"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that a call may read and write, in one that it may not."""
    where = tmp_path / "place"
    (where / "src" / "sub").mkdir(parents=True)
    (where / "src" / "a.txt").write_text("hello " * 100)
    (where / "src" / "sub" / "b.md").write_bytes(bytes(range(256)))
    (where / "src" / "empty").touch()
    (tmp_path / "outside").mkdir()
    return where


def handle(place: Path, operation: str, **arguments: Any) -> Called:
    inside = [str(place)]
    tables = arguments.pop("tables", None)
    return call_tool(
        "archive-handler",
        {"operation": operation, **arguments},
        read=inside,
        write=inside,
        directory=str(place),
        tables=tables,
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_archived_comes_out_again(place: Path, kind: str) -> None:
    made = handle(place, "create", path=f"x.{kind}", input=["src"])
    assert made.output == f"x.{kind}"
    assert made.result["archived_files"] == ["src/a.txt", "src/empty", "src/sub/b.md"]
    assert made.result["total_size"] == 856
    listed = handle(place, "list", path=f"x.{kind}")
    assert {one["name"]: one["size"] for one in listed.output} == {
        "src/a.txt": 600,
        "src/empty": 0,
        "src/sub/b.md": 256,
    }
    extracted = handle(place, "extract", path=f"x.{kind}", target_path="out")
    assert extracted.output == ["out/src/a.txt", "out/src/empty", "out/src/sub/b.md"]
    assert (extracted.result["total_size"], extracted.result["output_dir"]) == (856, "out")
    assert contents(place / "out" / "src") == contents(place / "src")
    assert [figures["total_size"] for _, figures in extracted.progress][-1] == 856


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_one_file_is_compressed_alone(place: Path, kind: str) -> None:
    handle(place, "create", path=f"src/a.txt.{kind}", files=["src/a.txt"])
    assert handle(place, "list", path=f"src/a.txt.{kind}").output == [{"name": "a.txt", "size": 600, "is_dir": False}]
    assert handle(place, "extract", path=f"src/a.txt.{kind}", target_path="out").output == ["out/a.txt"]
    assert (place / "out" / "a.txt").read_text() == "hello " * 100
    with pytest.raises(InvalidRequest, match="a single file"):
        handle(place, "create", path=f"x.{kind}", input=["src"])


def test_other_names_of_the_parameters(place: Path) -> None:
    made = handle(place, "create", source_path="src", target_path="y.zip", include_patterns=["*.md"])
    assert made.result["archived_files"] == ["src/sub/b.md"]
    assert handle(place, "create", source="src/a.txt", path="z", format="tar").result["format"] == "tar"
    assert handle(place, "list", source="y.zip").output[0]["name"] == "src/sub/b.md"
    # Beside the archive, where no directory is named.
    assert handle(place, "extract", path="y.zip").result["output_dir"] == "y"
    assert (place / "y" / "src" / "sub" / "b.md").exists()


def test_levels_and_formats(place: Path) -> None:
    sizes = {}
    for level in (0, 9):
        result = handle(place, "create", path="l.zip", input=["src"], compression_level=level).result
        assert result["compression_level"] == level
        sizes[level] = (place / "l.zip").stat().st_size
    assert sizes[9] < sizes[0]
    assert zipfile.is_zipfile(place / "l.zip")
    handle(place, "create", path="l.tar", input=["src"])
    assert tarfile.is_tarfile(place / "l.tar")


def test_what_is_wrong_is_said(place: Path) -> None:
    with pytest.raises(InvalidRequest, match="'input'"):
        handle(place, "create", path="x.zip")
    with pytest.raises(InvalidRequest, match="'path'"):
        handle(place, "list")
    with pytest.raises(InvalidRequest, match="ends with none of"):
        handle(place, "create", path="x.rar", input=["src"])
    with pytest.raises(InvalidRequest, match="Unknown operation: pack"):
        handle(place, "pack", path="x.zip")
    with pytest.raises(InvalidRequest, match=r"two files 'a\.txt'"):
        handle(place, "create", path="x.zip", input=["src/a.txt", "src/a.txt"])
    absent = handle(place, "list", path="nothing.zip")
    assert absent.failure is not None
    assert absent.failure.code == "not_found"
    assert "no such file" in handle(place, "create", path="x.zip", input=["nothing"]).said
    assert "no files" in handle(place, "create", path="x.zip", input=["src"], include_patterns=["*.none"]).said
    assert "neither a zip, nor a tar" in handle(place, "list", path="src/a.txt").said
    assert not (place / "x.zip").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_is_told(place: Path, kind: str) -> None:
    handle(place, "create", path=f"x.{kind}", input=["src"])
    whole = (place / f"x.{kind}").read_bytes()
    (place / f"x.{kind}").write_bytes(whole[: len(whole) // 3])
    assert handle(place, "extract", path=f"x.{kind}", target_path="out").said


def test_paths_are_held_to_the_permissions(place: Path) -> None:
    outside = place.parent / "outside"
    (outside / "secret").write_text("s")
    with pytest.raises(Forbidden):
        handle(place, "create", path="x.zip", input=[str(outside)])
    with pytest.raises(Forbidden):
        handle(place, "create", path=str(outside / "x.zip"), input=["src"])
    handle(place, "create", path="x.zip", input=["src"])
    with pytest.raises(Forbidden):
        handle(place, "extract", path="x.zip", target_path=str(outside))
    assert contents(outside) == {"secret": b"s"}


def test_links_are_not_followed_into_an_archive(place: Path) -> None:
    (place.parent / "outside" / "secret").write_text("s")
    (place / "src" / "link").symlink_to(place.parent / "outside" / "secret")
    (place / "src" / "links").symlink_to(place.parent / "outside")
    made = handle(place, "create", path="src/x.tar", input=["src"])
    assert made.result["archived_files"] == ["src/a.txt", "src/empty", "src/sub/b.md"]


# Archives that are made to harm


def make_zip(path: Path, name: str, data: bytes = b"evil", mode: int = stat.S_IFREG | 0o644) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("x")
        # Set afterwards: zipfile itself would make a better name of it.
        info.filename = name
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, data)


def make_tar(path: Path, name: str, data: bytes = b"evil", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(data) if kind == tarfile.REGTYPE else 0, kind, link
        archive.addfile(info, io.BytesIO(data))


NAMES = [
    "../evil",
    "../../evil",
    "a/../../evil",
    "a/b/../../../evil",
    "./../evil",
    "..",
    "/evil",
    "//evil",
    "/../evil",
    "..\\evil",
    "a\\..\\..\\evil",
    "C:\\evil",
    "C:evil",
    "C:/evil",
    "a/\x01evil",
    "a\nevil",
    "e" * 300,
    "a/" * 600 + "evil",
    " ",
    "a/..",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_name_that_leads_elsewhere_spoils_the_archive(place: Path, make: Callable[..., None], name: str) -> None:
    make(place / "x", name)
    before = sorted(place.parent.rglob("*"))
    for operation in ("extract", "list"):
        said = handle(place, operation, path="x", **({"target_path": "out/in"} if operation == "extract" else {})).said
        assert "the name" in said
    assert sorted(place.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "../../outside"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../../outside/secret"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_do_not_come_out_of_a_tar(place: Path, kind: bytes, link: str) -> None:
    make_tar(place / "x.tgz", "thing", kind=kind, link=link)
    result = handle(place, "extract", path="x.tgz", target_path="out").result
    assert (result["extracted_files"], result["skipped"][0]["name"]) == ([], "thing")
    assert list((place / "out").iterdir()) == []


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_do_not_come_out_of_a_zip(place: Path, mode: int) -> None:
    make_zip(place / "x.zip", "thing", b"/etc/passwd", mode | 0o777)
    result = handle(place, "extract", path="x.zip", target_path="out").result
    assert (result["extracted_files"], result["skipped"][0]["name"]) == ([], "thing")
    assert list((place / "out").iterdir()) == []


def test_a_link_and_what_would_be_written_through_it(place: Path) -> None:
    with tarfile.open(place / "x.tar", "w") as archive:
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, "../../outside"
        archive.addfile(link)
        info = tarfile.TarInfo("d/evil")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    assert handle(place, "extract", path="x.tar", target_path="out").output == ["out/d/evil"]
    assert contents(place.parent / "outside") == {}
    # One that was there before leads out of what may be written.
    (place / "there").mkdir()
    (place / "there" / "d").symlink_to(place.parent / "outside")
    with pytest.raises(Forbidden):
        handle(place, "extract", path="x.tar", target_path="there")
    assert contents(place.parent / "outside") == {}


def test_programs_that_may_not_be_written_do_not_come_out(place: Path) -> None:
    make_zip(place / "x.zip", "evil.exe")
    with pytest.raises(Forbidden, match=r"end with \.exe"):
        handle(place, "extract", path="x.zip", target_path="out")


ZEROS = bytes(30_000_000)


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz", "tar.gz"])
def test_a_bomb_is_refused_and_not_written(place: Path, kind: str) -> None:
    path = place / f"x.{kind}"
    if kind == "zip":
        make_zip(path, "zeros", ZEROS)
    elif kind == "tar.gz":
        make_tar(path, "zeros", ZEROS)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(ZEROS))
    for operation in ("extract", "list") if kind != "zip" else ("extract",):
        assert "come out of it" in handle(place, operation, path=path.name).said
    assert sum(one.stat().st_size for one in place.rglob("*") if one.is_file()) < 1_000_000


def test_a_zip_that_says_less_than_it_has_is_refused(place: Path) -> None:
    make_zip(place / "x.zip", "zeros", ZEROS)
    data = (place / "x.zip").read_bytes()
    # The size, in the entry and in the directory.
    (place / "x.zip").write_bytes(data.replace(len(ZEROS).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    handle(place, "extract", path="x.zip", target_path="out")
    assert sum(one.stat().st_size for one in place.rglob("*") if one.is_file()) < 1_000_000


def test_a_tar_inside_of_headers_alone_is_refused(place: Path) -> None:
    with tarfile.open(place / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "x" * 30_000_000}
        archive.addfile(info)
    assert handle(place, "list", path="x.tar.gz").said


def test_limits_are_settings(place: Path) -> None:
    with zipfile.ZipFile(place / "x.zip", "w") as archive:
        for at in range(20):
            archive.writestr(f"{at}", b"1234567890")

    def extract(**limits: int) -> Called:
        return handle(place, "extract", path="x.zip", target_path="out", tables={"archive-handler": limits})

    assert "more than 10 entries" in extract(max_entries=10).said
    assert "199 may" in extract(max_total_size=199).said
    assert extract(max_total_size=200, max_entries=20).result["total_size"] == 200
    large = {"file_operations": {"max_file_size": 5000}}
    (place / "large").write_bytes(os.urandom(4000))
    with pytest.raises(Forbidden):
        handle(
            place, "create", path="y.zip", input=["large", "src"], tables={"file_operations": {"max_file_size": 3000}}
        )
    assert handle(place, "create", path="y.zip", input=["large"], tables=large).output == "y.zip"


def test_overlapping_entries_are_refused_or_bounded(place: Path) -> None:
    # Many entries of the directory that lead to the same data.
    make_zip(place / "one.zip", "a", bytes(5_000_000))
    data = (place / "one.zip").read_bytes()
    begin = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry, tail, count = data[begin:end], bytearray(data[end:]), 100
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = (len(entry) * count).to_bytes(4, "little")
    (place / "x.zip").write_bytes(data[:begin] + entry * count + bytes(tail))
    assert handle(place, "extract", path="x.zip", target_path="out").said
    assert not (place / "out").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.sampled_from(KINDS), st.data())
def test_a_changed_archive_is_read_or_refused(place: Path, kind: str, data: st.DataObject) -> None:
    handle(place, "create", path=f"x.{kind}", input=["src"])
    changed = bytearray((place / f"x.{kind}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    (place / f"x.{kind}").write_bytes(changed)
    try:
        handle(place, "extract", path=f"x.{kind}", target_path="out")
    except Forbidden:
        pass
    assert contents(place.parent / "outside") == {}

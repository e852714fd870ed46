"""The files of a call under attack: no name, link, race or odd entry leads out of what the call may touch."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError
from llmspell_protocol.tools.permissions import Permissions
from llmspell_tools.limits.files import Files
from llmspell_tools.outcome import ToolFailure

SECRET = b"the secret"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ELF = b"\x7fELF\x02\x01\x01" + bytes(20)


class Ground:
    """A directory that a call may use, and one beside it that it may not, with a secret."""

    def __init__(self, top: Path) -> None:
        self.inside, self.outside = top / "inside", top / "outside"
        self.inside.mkdir()
        self.outside.mkdir()
        self.secret = self.outside / "secret.txt"
        self.secret.write_bytes(SECRET)
        (self.inside / "own.txt").write_bytes(b"own")

    def files(self, *, read: Any = None, write: Any = None, directory: Any = None, **settings: Any) -> Files:
        """The files of a call that may read and write what is inside."""
        permissions = Permissions(
            read=[str(self.inside)] if read is None else read,
            write=[str(self.inside)] if write is None else write,
            working_directory=str(self.inside) if directory is None else directory,
        )
        return Files(permissions, settings)

    def demand_untouched(self) -> None:
        """The secret is there, and nothing came beside it."""
        assert os.listdir(self.outside) == ["secret.txt"]
        assert self.secret.read_bytes() == SECRET


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def every_way(files: Files, path: str) -> dict[str, Callable[[], Any]]:
    """All that can be done with a path; what copies and moves takes it to where it can be read, and from there."""
    return {
        "read": lambda: files.read_bytes(path),
        "status": lambda: files.status(path),
        "write": lambda: files.write(path, b"new"),
        "append": lambda: files.write(path, b"new", append=True),
        "copy from": lambda: files.copy(path, "copied"),
        "copy to": lambda: files.copy("own.txt", path),
        "change mode": lambda: files.change_mode(path, 0o777),
    }


def make_links(ground: Ground) -> None:
    (ground.inside / "link").symlink_to(ground.secret)
    (ground.inside / "dir").symlink_to(ground.outside)
    (ground.inside / "relative").symlink_to("../outside/secret.txt")
    (ground.inside / "chain").symlink_to("link")
    (ground.inside / "real").mkdir()
    (ground.inside / "real" / "up").symlink_to("../..")
    (ground.inside / "self").symlink_to("/proc/self/cwd")


ESCAPES = [
    "{secret}",
    "../outside/secret.txt",
    "real/../../outside/secret.txt",
    "./.././/outside/./secret.txt",
    "real/../../inside/../outside/secret.txt",
    "link",
    "chain",
    "relative",
    "dir/secret.txt",
    "dir/../outside/secret.txt",
    "real/up/outside/secret.txt",
    "real/../dir/secret.txt",
    "{secret}/",
    "{secret}/.",
    "//{secret}",
    "/proc/self/root/{secret}",
    "/proc/self/cwd/../../../../../../../../../../{secret}",
    "/proc/thread-self/root{secret}",
    "/proc/{pid}/root{secret}",
    "/proc/self/fd/{fd}",
    "/dev/fd/{fd}",
    "/dev/stdin",
    "self/x",
    "/etc/passwd",
    "{outside}",
    "{inside}x",
    "{inside}/../outside/new.txt",
    "dir/new.txt",
    "{inside_upper}",
]


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_path_leads_out(ground: Ground, escape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_links(ground)
    monkeypatch.chdir(ground.outside)
    with open(ground.secret, "rb") as held:
        path = escape.format(
            secret=ground.secret,
            outside=ground.outside,
            inside=ground.inside,
            inside_upper=str(ground.inside).upper(),
            fd=held.fileno(),
            pid=os.getpid(),
        )
        files = ground.files()
        for way, go in every_way(files, path).items():
            with pytest.raises(LlmspellError) as refused:
                go()
            assert refused.value.code in ("forbidden", "invalid_request"), way
    ground.demand_untouched()
    assert not (ground.inside / "copied").exists()


@pytest.mark.parametrize("escape", [one for one in ESCAPES if one not in ("link", "chain", "relative")])
def test_nothing_outside_is_removed_moved_listed_or_looked_for(ground: Ground, escape: str) -> None:
    make_links(ground)
    path = escape.format(
        secret=ground.secret,
        outside=ground.outside,
        inside=ground.inside,
        inside_upper=str(ground.inside).upper(),
        fd=0,
        pid=os.getpid(),
    )
    files = ground.files()
    ways: list[Callable[[], Any]] = [
        lambda: files.remove(path, recursive=True),
        lambda: files.move(path, "moved"),
        lambda: files.move("own.txt", path),
        lambda: files.exists(path),
        lambda: files.list(path),
        lambda: list(files.walk(path)),
        lambda: files.make_directory(f"{path}/made", parents=True),
    ]
    for go in ways:
        with pytest.raises(Forbidden):
            go()
    ground.demand_untouched()


def test_a_link_is_removed_moved_and_told_as_itself(ground: Ground) -> None:
    make_links(ground)
    files = ground.files()
    entry = files.entry("link")
    assert entry is not None
    assert entry.kind == "link"
    files.move("dir", "moved")
    assert os.readlink(ground.inside / "moved") == str(ground.outside)
    files.move("own.txt", "relative")
    assert not (ground.inside / "relative").is_symlink()
    assert files.remove("link") == 1
    assert files.remove("moved/", recursive=True) == 1
    ground.demand_untouched()


def test_a_directory_is_removed_with_its_links_and_not_with_what_they_lead_to(ground: Ground) -> None:
    (ground.inside / "tree" / "deep").mkdir(parents=True)
    (ground.inside / "tree" / "deep" / "out").symlink_to(ground.outside)
    (ground.inside / "tree" / "file").symlink_to(ground.secret)
    files = ground.files()
    with pytest.raises(ToolFailure, match="not empty"):
        files.remove("tree")
    assert files.remove("tree", recursive=True) == 4
    ground.demand_untouched()


def test_what_is_nested_too_deep_stays(ground: Ground) -> None:
    descriptor = os.open(ground.inside, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    files = ground.files()
    with pytest.raises(ToolFailure, match="nested too deep"):
        files.remove("d", recursive=True)
    assert len(list(files.walk(".", deepest=1000))) == 1 + 11
    files.remove("/".join(["d"] * 150), recursive=True)
    assert files.remove("d", recursive=True) == 149


def test_what_another_disk_has_below_a_directory_stays(ground: Ground) -> None:
    other = ground.inside / "tree" / "other"
    other.mkdir(parents=True)
    system = ctypes.CDLL(None)
    if sys.platform != "linux" or system.mount(b"none", os.fsencode(other), b"tmpfs", 0, None):
        pytest.skip("this user may not mount a disk")
    try:
        (other / "kept").write_bytes(b"x")
        with pytest.raises(ToolFailure, match="another disk"):
            ground.files().remove("tree", recursive=True)
        assert (other / "kept").exists()
    finally:
        assert system.umount(os.fsencode(other)) == 0


def test_the_places_themselves_are_told_and_listed_and_not_removed(ground: Ground) -> None:
    files = ground.files()
    place = str(ground.inside)
    assert files.exists(place)
    assert stat.S_ISDIR(files.status(f"{place}/").st_mode)
    assert [one.name for one in files.list(".")] == ["own.txt"]
    files.make_directory(place, parents=True)
    with pytest.raises(Forbidden):
        files.remove(place, recursive=True)
    with pytest.raises(Forbidden):
        files.move(place, f"{place}/below")
    assert (ground.inside / "own.txt").exists()


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "a/" * 3000, "half \ud800"])
def test_what_is_no_path_is_a_wrong_request(ground: Ground, path: str) -> None:
    files = ground.files()
    for go in every_way(files, path).values():
        with pytest.raises(InvalidRequest):
            go()


def test_a_name_that_is_too_long_is_told(ground: Ground) -> None:
    with pytest.raises(ToolFailure, match="name too long"):
        ground.files().write("x" * 300, b"")


def test_a_relative_path_needs_a_directory(ground: Ground) -> None:
    files = Files(Permissions(read=[str(ground.inside)]), {})
    with pytest.raises(InvalidRequest, match="not a whole path"):
        files.read_bytes("own.txt")
    assert files.read_bytes(str(ground.inside / "own.txt")) == b"own"


def test_a_tilde_is_the_home_and_no_way_in(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ground.outside))
    with pytest.raises(Forbidden):
        ground.files().read_bytes("~/secret.txt")
    monkeypatch.setenv("HOME", str(ground.inside))
    assert ground.files().read_bytes("~/own.txt") == b"own"
    assert ground.files().write("./~", b"a file") == 6


def test_pipes_devices_sockets_and_directories_are_no_files(ground: Ground, tmp_path: Path) -> None:
    os.mkfifo(ground.inside / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(ground.inside / "socket"))
        (ground.inside / "directory").mkdir()
        (ground.inside / "zero").symlink_to("/dev/zero")
        files = ground.files()
        everywhere = ground.files(read=["*"], write=["*"])
        for made, path in [(files, "pipe"), (files, "socket"), (files, "directory"), (everywhere, "/dev/zero")]:
            for go in (
                partial(made.read_bytes, path),
                partial(made.write, path, b"x"),
                partial(made.write, path, b"x", append=True),
                partial(made.copy, path, "c"),
            ):
                with pytest.raises(ToolFailure, match="is not a plain file"):
                    go()
        with pytest.raises(Forbidden):
            files.read_bytes("zero")
        kinds = {one.name: one.kind for one in files.list(".")}
    assert kinds == {"directory": "directory", "own.txt": "file", "pipe": "other", "socket": "other", "zero": "link"}


def test_opening_is_not_felt_at_the_other_end_of_a_pipe(ground: Ground) -> None:
    os.mkfifo(ground.inside / "pipe")
    # A writer that waits for no reader is refused for as long as there is none.
    with pytest.raises(ToolFailure):
        ground.files().read_bytes("pipe")
    with pytest.raises(OSError) as refused:
        os.open(ground.inside / "pipe", os.O_WRONLY | os.O_NONBLOCK)
    assert refused.value.errno == errno.ENXIO


def test_names_that_are_not_text_are_listed_read_and_removed(ground: Ground) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (ground.inside / name).write_bytes(b"odd")
    files = ground.files()
    assert name in [one.name for one in files.list(".")]
    assert files.read_bytes(name) == b"odd"
    assert files.remove(name) == 1


@pytest.mark.parametrize(
    "name", ["ｓecret", "e\u0301", "é", "..\u2215outside", "\u202etxt.exe.", "a\nb", " ", "...", "-rf"]
)
def test_odd_characters_are_only_characters(ground: Ground, name: str) -> None:
    files = ground.files()
    files.write(name, b"x")
    assert sorted(os.listdir(ground.inside)) == sorted(["own.txt", name])
    assert files.read_bytes(name) == b"x"


# Races


def swapping(path: Path, other: Path, stop: threading.Event) -> threading.Thread:
    """A thread that puts a link to `other` in place of what is at `path`, and back, without end."""
    kept = path.with_name(f"{path.name}-kept")
    link = path.with_name(f"{path.name}-link")

    def go() -> None:
        while not stop.is_set():
            os.rename(path, kept)
            os.symlink(other, link)
            os.rename(link, path)
            os.unlink(path)
            os.rename(kept, path)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


@pytest.mark.parametrize("where", ["in the middle", "at the end"])
def test_a_link_that_comes_between_the_look_and_the_use_leads_nowhere(ground: Ground, where: str) -> None:
    (ground.inside / "a").mkdir()
    (ground.inside / "a" / "secret.txt").write_bytes(b"own")
    swapped, other = (
        (ground.inside / "a", ground.outside)
        if where == "in the middle"
        else (ground.inside / "a" / "secret.txt", ground.secret)
    )
    files = ground.files(atomic_writes=False)
    stop = threading.Event()
    thread = swapping(swapped, other, stop)
    seen = set()
    try:
        deadline = time.monotonic() + 60
        for count in itertools.count():
            if (count >= 200 and repr(b"own") in seen) or time.monotonic() > deadline:
                break
            for go in (
                lambda: files.read_bytes("a/secret.txt"),
                lambda: files.write("a/secret.txt", b"own"),
                lambda: files.write("a/secret.txt", b"", append=True),
                lambda n=count: files.write(f"a/new{n}.txt", b"own"),
                lambda: [one.name for one in files.list("a")],
                lambda: files.copy("a/secret.txt", "copied.txt"),
            ):
                try:
                    seen.add(repr(go()))
                except (ToolFailure, Forbidden) as problem:
                    seen.add(type(problem).__name__)
    finally:
        stop.set()
        thread.join()
    assert repr(SECRET) not in seen
    assert repr(b"own") in seen
    ground.demand_untouched()
    copied = ground.inside / "copied.txt"
    assert not copied.exists() or copied.read_bytes() in (b"own", b"")


def test_what_is_removed_in_a_race_is_never_outside(ground: Ground) -> None:
    files = ground.files()
    for _ in range(50):
        (ground.inside / "t" / "u").mkdir(parents=True)
        (ground.inside / "t" / "u" / "f").write_bytes(b"x")
        stop = threading.Event()

        def go(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                try:
                    os.rename(ground.inside / "t" / "u", ground.inside / "t" / "v")
                    os.symlink(ground.outside, ground.inside / "t" / "u")
                except OSError:
                    return

        thread = threading.Thread(target=go)
        thread.start()
        try:
            files.remove("t", recursive=True)
        except ToolFailure:
            pass
        finally:
            stop.set()
            thread.join()
        if (ground.inside / "t").exists():
            files.remove("t", recursive=True)
        ground.demand_untouched()


def test_a_place_that_is_replaced_is_another(ground: Ground) -> None:
    files = ground.files()
    assert files.read_bytes("own.txt") == b"own"
    os.rename(ground.inside, ground.inside.with_name("gone"))
    ground.inside.mkdir()
    (ground.inside / "own.txt").write_bytes(b"another's")
    for go in every_way(files, "own.txt").values():
        with pytest.raises(Forbidden):
            go()
    ground.inside.joinpath("own.txt").unlink()
    ground.inside.rmdir()
    ground.inside.symlink_to(ground.outside)
    with pytest.raises(Forbidden):
        files.read_bytes("secret.txt")
    ground.demand_untouched()


# Writing


def test_a_file_is_replaced_whole_or_not_at_all(ground: Ground) -> None:
    files = ground.files(max_file_size=10)
    (ground.inside / "own.txt").chmod(0o640)
    with pytest.raises(Forbidden, match="more than 10"), files.replacing("own.txt") as file:
        file.write(b"x" * 11)
    with pytest.raises(ZeroDivisionError), files.replacing("own.txt") as file:
        file.write(b"%d" % (1 // 0))
    assert os.listdir(ground.inside) == ["own.txt"]
    assert files.read_bytes("own.txt") == b"own"
    files.write("own.txt", b"new")
    assert stat.S_IMODE((ground.inside / "own.txt").stat().st_mode) == 0o640


def test_the_temporary_file_of_a_write_may_go(ground: Ground) -> None:
    files = ground.files()
    with pytest.raises(ToolFailure), files.replacing("own.txt"):
        next(ground.inside.glob(".own.txt.*.new")).unlink()
    assert files.read_bytes("own.txt") == b"own"


def test_a_write_through_a_link_goes_where_the_link_leads(ground: Ground) -> None:
    (ground.inside / "real.txt").write_bytes(b"old")
    (ground.inside / "alias").symlink_to("real.txt")
    (ground.inside / "nowhere").symlink_to("later.txt")
    (ground.inside / "round").symlink_to("round")
    files = ground.files()
    files.write("alias", b"new")
    files.write("nowhere", b"made")
    assert (ground.inside / "alias").is_symlink()
    assert (ground.inside / "real.txt").read_bytes() == b"new"
    assert (ground.inside / "later.txt").read_bytes() == b"made"
    for go in (lambda: files.write("round", b""), lambda: files.read_bytes("round")):
        with pytest.raises(ToolFailure, match="too many"):
            go()
    assert files.exists("round")


@pytest.mark.parametrize("atomic", [True, False])
def test_the_limits_hold_before_anything_is_changed(ground: Ground, atomic: bool) -> None:
    files = ground.files(max_file_size=5, atomic_writes=atomic)
    for go in (
        lambda: files.write("own.txt", b"123456"),
        lambda: files.write("own.txt", b"123", append=True),
        lambda: files.write("x.exe", b"1"),
        lambda: files.write("x.EXE/", b"1"),
        lambda: files.write("x.png", b"text"),
        lambda: files.write("x.txt", ELF[:5]),
    ):
        with pytest.raises(Forbidden):
            go()
    assert {one: (ground.inside / one).read_bytes() for one in os.listdir(ground.inside)} == {"own.txt": b"own"}


def test_a_file_that_may_not_be_written_stays(ground: Ground) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everything")
    (ground.inside / "own.txt").chmod(0o444)
    with pytest.raises(ToolFailure, match="permission denied"):
        ground.files().write("own.txt", b"new")


def test_another_name_of_a_file_keeps_the_old_content(ground: Ground) -> None:
    os.link(ground.secret, ground.inside / "hard.txt")
    files = ground.files()
    files.write("hard.txt", b"new")
    ground.demand_untouched()
    assert files.read_bytes("hard.txt") == b"new"


def test_a_copy_onto_itself_changes_nothing(ground: Ground) -> None:
    files = ground.files()
    assert files.copy("own.txt", "./own.txt") == 3
    assert files.read_bytes("own.txt") == b"own"
    files.move("own.txt", "own.txt")
    assert files.read_bytes("own.txt") == b"own"


def test_what_is_moved_may_be_read_where_it_was(ground: Ground) -> None:
    files = ground.files(read=[str(ground.inside)], write=[str(ground.inside), str(ground.outside)])
    with pytest.raises(Forbidden) as refused:
        files.move(str(ground.secret), "mine.txt")
    assert refused.value.details["permission"] == "read"
    ground.demand_untouched()


def test_a_file_goes_from_one_place_to_another(ground: Ground) -> None:
    both = [str(ground.inside), str(ground.outside)]
    files = ground.files(read=both, write=both)
    files.move("own.txt", str(ground.outside / "moved.txt"))
    assert (ground.outside / "moved.txt").read_bytes() == b"own"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second disk: /dev/shm")
def test_a_file_goes_from_one_disk_to_another(ground: Ground, tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="files-") as other:
        both = [str(ground.inside), other]
        files = ground.files(read=both, write=both)
        files.move("own.txt", f"{other}/moved.txt")
        assert files.read_bytes(f"{other}/moved.txt") == b"own"
        assert not files.exists("own.txt")


def test_a_single_file_is_all_that_may_be_touched(ground: Ground) -> None:
    own = str(ground.inside / "own.txt")
    files = ground.files(read=[own], write=[own])
    assert files.read_bytes(own) == b"own"
    assert files.status(own).st_size == 3
    assert files.exists(own)
    files.write(own, b"new")
    for go in (lambda: files.list("."), lambda: files.exists("other"), lambda: files.write("other", b"")):
        with pytest.raises(Forbidden):
            go()
    assert os.listdir(ground.inside) == ["own.txt"]


def test_a_place_that_is_not_there_yet_can_be_made_and_is_one_afterwards(ground: Ground) -> None:
    place = str(ground.inside / "later")
    ground.files(read=[place], write=[place]).make_directory(place)
    files = ground.files(read=[place], write=[place])
    files.write(f"{place}/x", b"x")
    assert files.read_bytes(f"{place}/x") == b"x"
    deeper = str(ground.inside / "no" / "where")
    files = ground.files(read=[deeper], write=[deeper])
    files.make_directory(f"{deeper}/near", parents=True)
    files.write(f"{deeper}/near/x", b"x")
    # The one on the way was made for it, and is no place itself.
    for refused in (lambda: files.write(f"{deeper}/../y", b"y"), lambda: files.make_directory(f"{deeper}/../other")):
        with pytest.raises(Forbidden):
            refused()


def test_everything_is_everything(ground: Ground) -> None:
    files = ground.files(read=["*"], write=["*"])
    assert files.read_bytes(str(ground.secret)) == SECRET
    assert files.read_bytes(f"/proc/self/root{ground.secret}") == SECRET
    assert b"Name:" in files.read_bytes("/proc/self/status")


def test_directories_are_made_with_those_on_the_way(ground: Ground) -> None:
    files = ground.files()
    with pytest.raises(ToolFailure, match="no such file"):
        files.make_directory("a/b/c")
    files.make_directory("a/b/c/", parents=True)
    files.make_directory("a/b/../b/c/.", parents=True)
    files.make_directory("a/b/..")
    assert (ground.inside / "a" / "b" / "c").is_dir()
    (ground.inside / "nowhere").symlink_to("gone")
    for path in ("own.txt", "nowhere", "nowhere/x", "own.txt/x"):
        with pytest.raises(ToolFailure):
            files.make_directory(path, parents=True)


# Extensions and kinds of content


@pytest.mark.parametrize("path", ["x.exe", "x.EXE", "x.exe/", "x.exe/.", "./x.txt.so", "renamed"])
def test_blocked_extensions_are_those_of_the_file_itself(ground: Ground, path: str) -> None:
    (ground.inside / "hidden.exe").write_bytes(b"x")
    (ground.inside / "renamed").symlink_to("hidden.exe")
    files = ground.files()
    for go in (
        lambda: files.write(path, b"x"),
        lambda: files.write(path, b"x", append=True),
        lambda: files.copy("own.txt", path),
    ):
        with pytest.raises(Forbidden, match=r"files that end with \."):
            go()
    if path != "renamed":
        with pytest.raises(Forbidden, match=r"files that end with \."):
            files.move("own.txt", path)
    if path in ("renamed", "x.exe"):
        with pytest.raises(Forbidden, match=r"files that end with \."):
            files.read_bytes("renamed")


def test_where_extensions_are_allowed_others_are_not(ground: Ground) -> None:
    files = ground.files(allowed_extensions=["TXT"])
    assert files.read_bytes("own.txt") == b"own"
    with pytest.raises(Forbidden, match="without an extension"):
        files.write("plain", b"")
    with pytest.raises(Forbidden, match=r"allowed_extensions|end with \.md"):
        files.write("x.md", b"")


@pytest.mark.parametrize(
    ("name", "content", "fits"),
    [
        ("a.png", PNG, True),
        ("a.PNG", b"text", False),
        ("a.jpg", PNG, False),
        ("a.pdf", b"%PDF-1.7\n", True),
        ("a.pdf", b"<html>", False),
        ("a.xlsx", b"PK\x03\x04xx", True),
        ("a.zip", ELF, False),
        ("a.txt", b"BZh is how bzip2 files begin", True),
        ("a.txt", PNG, False),
        ("a.json", ELF, False),
        ("a.csv", b"\xef\xbb\xbfa,b\n", True),
        ("a.txt", "größer".encode(), True),
        ("a", ELF, True),
        ("a.bin", ELF, True),
        ("a.png", b"", True),
        (".png", b"text", True),
    ],
)
def test_what_is_written_is_what_the_name_says(ground: Ground, name: str, content: bytes, fits: bool) -> None:
    for atomic in (True, False):
        files = ground.files(atomic_writes=atomic)
        if fits:
            files.write(name, content)
            assert files.read_bytes(name) == content
        else:
            with pytest.raises(Forbidden, match="its content is") as refused:
                files.write(name, content)
            assert refused.value.details["setting"] == "tools.file_operations.validate_file_types"
    ground.files(validate_file_types=False).write(name, content)


def test_a_new_name_must_fit_the_content_too(ground: Ground) -> None:
    files = ground.files()
    for go in (lambda: files.move("own.txt", "own.png"), lambda: files.copy("own.txt", "own.png")):
        with pytest.raises(Forbidden, match="not that of a PNG picture"):
            go()
    assert sorted(os.listdir(ground.inside)) == ["own.txt"]


# Whatever the path


PARTS = st.sampled_from(
    ["..", ".", "", "a", "out", "b", "own.txt", "up", "/", "secret.txt", "outside", "inside", "loop"]
)


@given(st.lists(PARTS, min_size=1, max_size=8).map("/".join))
def test_no_combination_of_steps_leads_out(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    (ground.inside / "a" / "b").mkdir(parents=True)
    (ground.inside / "out").symlink_to("../outside")
    (ground.inside / "a" / "up").symlink_to("../..")
    (ground.inside / "a" / "loop").symlink_to("../a")
    files = ground.files()
    for go in (
        lambda: files.read_bytes(path),
        lambda: files.write(path, b"new"),
        lambda: files.make_directory(path, parents=True),
        lambda: files.move("own.txt", path),
        lambda: files.copy("a", path),
        lambda: files.remove(path, recursive=True),
    ):
        try:
            assert go() != SECRET
        except (LlmspellError, ToolFailure):
            continue
    ground.demand_untouched()
    assert ground.inside.is_dir()

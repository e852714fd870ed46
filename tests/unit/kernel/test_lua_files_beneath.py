"""No name, link or exchange of either leads a script's file functions out of its directories."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmspell_kernel.scripting.lua.files import Files
from tests.support.lua_kernel import LuaBench

SECRET = "what nobody may read"
READERS = [
    "local f, why = io.open('{path}', 'r') return f and f:read('a') or why",
    "local ok, it = pcall(io.lines, '{path}') return ok and it() or it",
    "return select(2, pcall(dofile, '{path}'))",
    "return select(2, loadfile('{path}'))",
]
WRITERS = [
    f"local f, why = io.open('{{path}}', '{mode}') if f then f:write('x') f:close() end return why" for mode in "wa"
]
CHANGERS = [
    "return select(2, os.remove('{path}'))",
    "return select(2, os.rename('{path}', 'mine.txt'))",
    "return select(2, os.rename('inside.txt', '{path}'))",
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with links of every kind to what is outside, and to what is inside."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (work / "sub").mkdir(parents=True)
    (outside / "secret.txt").write_text(SECRET)
    (work / "inside.txt").write_text("inside")
    (work / "sub/below.txt").write_text("below")
    os.mkfifo(work / "pipe")
    for name, target in {
        "to_file": "../outside/secret.txt",
        "to_file_absolute": str(outside / "secret.txt"),
        "to_directory": "../outside",
        "to_directory_absolute": str(outside),
        "to_root": "/",
        "sub/up": "../..",
        "to_link": "to_file",
        "to_missing": "../outside/new.txt",
        "good": "sub/below.txt",
        "good_absolute": str(work / "sub/below.txt"),
        "good_directory": "sub",
        "good_round": "../work/inside.txt",
        "round_1": "round_2",
        "round_2": "round_1",
    }.items():
        (work / name).symlink_to(target)
    return tmp_path


OUT = [
    *("to_file", "to_file_absolute", "to_link", "to_directory/secret.txt", "to_directory_absolute/secret.txt"),
    *("sub/up/outside/secret.txt", "../outside/secret.txt", "sub/../../outside/secret.txt", "to_missing"),
    *("to_directory/deep/../secret.txt", "./to_directory//./secret.txt", "good_directory/../../outside/secret.txt"),
]
OUT_ENTRIES = [path for path in OUT if path not in ("to_file", "to_file_absolute", "to_link", "to_missing")]


def _bench(place: Path) -> LuaBench:
    bench = LuaBench("All")
    bench.sandbox.prepare(files=Files(None, str(place / "work"), True), environment={})
    return bench


def _assert_untouched(place: Path) -> None:
    assert sorted(path.name for path in (place / "outside").iterdir()) == ["deep", "secret.txt"]
    assert (place / "outside/secret.txt").read_text() == SECRET
    assert not (place / "work/mine.txt").exists()


@pytest.mark.parametrize("path", [*OUT, "{outside}/secret.txt", "to_root{outside}/secret.txt"])
@pytest.mark.parametrize("code", [*READERS, *WRITERS])
def test_what_is_outside_is_neither_read_nor_written(place: Path, path: str, code: str) -> None:
    said = _bench(place).value(code.format(path=path.format(outside=place / "outside")))
    assert "Path not allowed" in said
    assert "Path not allowed" in said
    _assert_untouched(place)


@pytest.mark.parametrize("path", [*OUT_ENTRIES, "{outside}/secret.txt", "to_root{outside}/secret.txt"])
@pytest.mark.parametrize("code", CHANGERS)
def test_what_is_outside_is_neither_moved_nor_removed(place: Path, path: str, code: str) -> None:
    said = _bench(place).value(code.format(path=path.format(outside=place / "outside")))
    assert "Path not allowed" in said, said
    _assert_untouched(place)


def test_whether_something_is_there_outside_cannot_be_found_out(place: Path) -> None:
    bench = _bench(place)
    for path in ("../outside/secret.txt", "../outside/absent", "../absent/absent/x", "to_root/absent/x", "to_file"):
        said = bench.value(f"return select(2, io.open('{path}'))")
        assert said == f"io.open: reading {path} needs --allow-read={path} (Path not allowed)"


@pytest.mark.parametrize("path", ["good", "good_absolute", "good_directory/below.txt", "sub/../good"])
def test_links_that_stay_inside_are_followed(place: Path, path: str) -> None:
    bench = _bench(place)
    assert bench.value(READERS[0].format(path=path)) == "below"
    bench.run(WRITERS[0].format(path=path))
    assert (place / "work/sub/below.txt").read_text() == "x"


def test_a_link_that_leads_out_and_back_is_followed(place: Path) -> None:
    assert _bench(place).value(READERS[0].format(path="good_round")) == "inside"


@pytest.mark.parametrize("link", ["to_root", "to_directory", "to_directory_absolute"])
def test_a_link_in_the_place_of_the_scripts_own_directory_opens_nothing(place: Path, link: str) -> None:
    bench = LuaBench("All")
    bench.sandbox.prepare(files=Files(str(place / "work/sub"), str(place / "work"), True), environment={})
    assert bench.value(f"return os.rename('sub', 'aside') and os.rename('{link}', 'sub')") is True
    beyond = f"sub{place}/outside" if link == "to_root" else "sub"
    for path in (f"{beyond}/secret.txt", f"{place}/outside/secret.txt"):
        for code in (*READERS, *WRITERS, *CHANGERS):
            assert "Path not allowed" in bench.value(code.format(path=path)), (path, code)
    _assert_untouched(place)


def test_a_link_in_the_place_of_the_directory_of_temporary_files_leads_nowhere(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "work/tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(place / "work/tmp"))
    bench = _bench(place)
    assert bench.value("return os.rename('tmp', 'aside') and os.rename('to_directory', 'tmp')") is True
    bench.run("name = os.tmpname() local f = io.open(name, 'w') f:write('x') f:close()")
    assert bench.value("return os.rename('inside.txt', os.tmpname())") is True
    assert len(list((place / "work/aside").iterdir())) == 2
    assert bench.value("return os.remove(name)") is True
    _assert_untouched(place)


def test_links_that_lead_in_a_circle_end(place: Path) -> None:
    assert "symbolic links" in _bench(place).value("return select(2, io.open('round_1'))")


@pytest.mark.parametrize("path", ["pipe", "sub"])
@pytest.mark.parametrize("mode", ["r", "w", "a", "r+", "w+", "a+"])
def test_what_is_no_plain_file_is_not_opened(place: Path, path: str, mode: str) -> None:
    said = _bench(place).value(f"local f, why, code = io.open('{path}', '{mode}') return {{why, code}}")
    assert said == [f"Path not allowed: {path} is not a plain file", 13]


@pytest.mark.parametrize("link", ["to_file", "to_link", "to_file_absolute"])
@pytest.mark.parametrize("mode", ["r", "w", "a", "r+", "w+"])
def test_a_link_under_a_temporary_name_is_not_followed(place: Path, link: str, mode: str) -> None:
    code = f"""
    local name = os.tmpname()
    assert(os.rename('{link}', name))
    local f, why = io.open(name, '{mode}')
    local text = f and f:read('a')
    os.remove(name)
    return text or why
    """
    assert "symbolic links" in _bench(place).value(code)
    _assert_untouched(place)


def test_a_link_itself_can_be_renamed_and_removed(place: Path) -> None:
    bench = _bench(place)
    bench.run("assert(os.rename('to_file', 'sub/renamed')) assert(os.remove('sub/renamed'))")
    assert not (place / "work/to_file").is_symlink()
    _assert_untouched(place)


def test_an_empty_directory_is_removed_and_a_full_one_is_not(place: Path) -> None:
    (place / "work/empty").mkdir()
    bench = _bench(place)
    assert bench.value("return {os.remove('empty'), (select(2, os.remove('sub')))}") == [
        True,
        "sub: Directory not empty",
    ]


@pytest.mark.parametrize(
    "code", ["io.open('absent')", "os.remove('absent')", "os.rename('absent', 'b')", "io.open('absent/a')"]
)
def test_what_is_missing_is_told_as_lua_tells_it(place: Path, code: str) -> None:
    path = code.split("'")[1]
    assert _bench(place).value(f"local a, why, code = {code} return {{a == nil, why, code}}") == [
        True,
        f"{path}: No such file or directory",
        2,
    ]


def test_modes_are_checked_as_lua_checks_them(place: Path) -> None:
    assert _bench(place).caught("io.open('inside.txt', 'rw')") == "bad argument #2 to 'open' (invalid mode)"


def test_modes_read_write_and_append(place: Path) -> None:
    code = """
    local function with(mode, act) local f = assert(io.open('m.txt', mode)) local r = act(f) f:close() return r end
    with('wb', function(f) f:write('one') end)
    with('a', function(f) f:seek('set') f:write(' two') end)
    with('r+', function(f) f:write('ONE') end)
    local all = with('a+b', function(f) f:write('!') f:seek('set') return f:read('a') end)
    with('w+', function(f) f:write('new') end)
    return {all, with('rb', function(f) return f:read('a') end)}
    """
    assert _bench(place).value(code) == ["ONE two!", "new"]


def test_no_descriptor_stays_open(place: Path) -> None:
    bench = _bench(place)
    gc.collect()  # what other tests have left open goes now
    before = len(os.listdir("/proc/self/fd"))
    for path in [*OUT, "good", "absent/x", "pipe", "round_1", "sub"]:
        bench.run(f"local f = io.open('{path}') if f then f:close() end os.remove('{path}/x') pcall(dofile, '{path}')")
    assert len(os.listdir("/proc/self/fd")) == before


@contextmanager
def _exchanging(place: Path) -> Iterator[None]:
    """A directory that is a link to the outside each other moment, by another thread."""
    work = place / "work"
    (work / "kept").mkdir()
    (work / "kept/secret.txt").write_text("inside")
    (work / "swap").symlink_to("../outside")
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            os.rename(work / "kept", work / "now")
            os.rename(work / "now", work / "kept")
            os.rename(work / "swap", work / "now")
            os.rename(work / "now", work / "swap")

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(place: Path) -> None:
    code = """
    local seen = {}
    for _ = 1, 3000 do
      local f = io.open('now/secret.txt')
      if f then seen[f:read('a')] = true f:close() end
      f = io.open('now/secret.txt', 'r+')
      if f then f:write('inside') f:close() end
      os.remove('now/deep')
      os.rename('now/deep', 'mine.txt')
    end
    local names = {}
    for text in pairs(seen) do names[#names + 1] = text end
    return names
    """
    with _exchanging(place):
        seen = _bench(place).value(code)
    assert seen in (["inside"], [])
    _assert_untouched(place)

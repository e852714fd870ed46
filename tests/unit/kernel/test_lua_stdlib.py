"""Lua's library as scripts see it: levels, files, modules, input and output."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.scripting.lua.files import Files
from tests.support.lua_kernel import LuaBench

BASIC = ["string", "table", "math", "utf8", "coroutine", "os.time", "os.clock", "os.date", "os.difftime", "io.write"]
STANDARD = [
    *("load", "os.getenv", "os.exit", "os.tmpname", "io.read", "io.stdout", "io.stderr", "debug.traceback"),
    *("require", "dofile", "loadfile", "package.path", "package.loaded", "package.preload", "collectgarbage"),
    *("io.open", "io.lines", "io.close", "io.type", "io.popen", "os.remove", "os.rename", "os.execute"),
]
ALL = ["debug.getinfo"]
NEVER = [
    *("os.setlocale", "package.loadlib", "package.cpath", "package.searchers", "python"),
    *("debug.sethook", "debug.getupvalue", "debug.setupvalue", "debug.getregistry", "debug.getlocal", "io.tmpfile"),
    *("debug.setmetatable", "debug.upvalueid", "debug.getmetatable", "io.input", "io.output", "warn"),
]


def _there(bench: LuaBench, names: list[str]) -> list[str]:
    found = []
    for name in names:
        first, _, rest = name.partition(".")
        code = f"return {first} ~= nil" if not rest else f"return {first} ~= nil and {name} ~= nil"
        if bench.value(code):
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("level", "present"),
    [("None", []), ("Basic", BASIC), ("Standard", BASIC + STANDARD), ("All", BASIC + STANDARD + ALL)],
)
def test_a_level_has_its_part_of_the_library_and_nothing_else(level: str, present: list[str]) -> None:
    assert _there(LuaBench(level), BASIC + STANDARD + ALL + NEVER) == present


@pytest.mark.parametrize("level", ["None", "Basic", "Standard", "All"])
def test_the_language_and_our_globals_are_there_at_every_level(level: str) -> None:
    names = ["print", "pairs", "pcall", "select", "rawlen", "ARGS", "arg", "_G", "_VERSION"]
    ours = ["JSON", "Logger", "Config", "Debug", "State", "Utils", "Event", "Hook", "Replay", "Tool", "Tools"]
    more = ["Provider", "Agent", "Workflow", "Streaming", "LocalLLM"]
    assert _there(LuaBench(level), [*names, *ours, *more]) == [*names, *ours, *more]


def test_globals_of_parts_that_are_off_or_come_later_are_nil() -> None:
    names = ["RAG", "Session", "Artifact"]
    assert _there(LuaBench(sessions=False, rag=False), names) == []
    assert _there(LuaBench(sessions=True, rag=False), names) == ["Session", "Artifact"]
    assert _there(LuaBench(sessions=False, rag=True), names) == ["RAG"]


def test_print_writes_what_lua_prints() -> None:
    bench = LuaBench()
    bench.run(
        "print('a', 2.0, nil, true, 10 // 3) print() print(setmetatable({}, {__tostring = function() return 'T' end}))"
    )
    assert bench.kernel.output == "a\t2.0\tnil\ttrue\t3\n\nT\n"


def test_write_adds_nothing_and_returns_the_file() -> None:
    bench = LuaBench()
    bench.run("io.write('a', 1, 2.5):write('b') io.stdout:write('c'):flush() io.stderr:write('e')")
    assert (bench.kernel.output, bench.kernel.errors) == ("a12.5bc", "e")


def test_write_refuses_what_is_neither_string_nor_number() -> None:
    assert LuaBench().caught("io.write({})") == "bad argument #1 to 'write' (string expected, got table)"


def test_binary_chunks_are_refused() -> None:
    bench = LuaBench()
    assert bench.value("local f, why = load(string.dump(function() end), 'x', 'b') return {f == nil, why}")[0] is True
    assert bench.value("local f, why = load(string.dump(function() end)) return {f == nil, why}")[0] is True


def test_load_compiles_into_the_scripts_globals_or_a_table_of_its_own() -> None:
    bench = LuaBench()
    assert bench.value("x = 7 return load('return x')()") == 7
    assert bench.value("x = 7 return load('return x', 'chunk', 't', {x = 8})()") == 8
    assert bench.value("return load('return python, os and os.execute')()") is None


def test_changing_the_library_changes_nothing_of_ours() -> None:
    bench = LuaBench()
    bench.run("string.format, table.concat, tostring, pcall, next, error = nil, nil, nil, nil, nil, nil")
    bench.run("string.find = function() while true do end end")
    bench.run("print('still', 1)")
    assert bench.kernel.output == "still\t1\n"
    assert bench.failure("local x = nil + 1").line == 1


def test_pow_is_there_and_collectgarbage_ignores_what_would_switch_it_off() -> None:
    bench = LuaBench()
    assert bench.value("return math.pow(2, 10)") == 1024
    assert bench.value("collectgarbage('stop') return collectgarbage('isrunning')") is True
    assert bench.value("return collectgarbage('count')") > 0


def test_environment_variables_are_those_of_the_request() -> None:
    bench = LuaBench()
    bench.place(MODEL="llama3.1:8b")
    assert bench.value("return {os.getenv('MODEL'), os.getenv('PATH') == nil}") == ["llama3.1:8b", True]


def test_getinfo_shows_source_line_and_name_only() -> None:
    info = LuaBench().value(
        "local function f()\n  local info = debug.getinfo(1) return info\nend\nlocal i = f()\nreturn i"
    )
    assert (info["short_src"], info["currentline"], info["name"]) == ("test.lua", 2, "f")
    assert "func" not in info


def test_traceback_leaves_our_own_frames_out() -> None:
    trace = LuaBench().value(
        "local function f() local t = debug.traceback('here') return t end\nlocal t = f()\nreturn t"
    )
    assert trace == "here\nstack traceback:\n\ttest.lua:1: in local 'f'\n\ttest.lua:2: in main chunk"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return io.read()", "one"),
        ("return io.read('L')", "one\n"),
        ("return io.read('a')", "one\n22\nthree\n"),
        ("io.read() return io.read('n')", 22),
        ("return io.read(5)", "one\n2"),
        ("io.read(2) return io.read('l')", "e"),
        ("local a, b = io.read('l', 'n') return {a, b}", ["one", 22]),
        ("io.read('a') return io.read()", None),
        ("return io.stdin:read('*l')", "one"),
        ("local n = 0 for line in io.lines() do n = n + 1 end return n", 3),
    ],
)
def test_input_is_read_by_format(code: str, value: object) -> None:
    bench = LuaBench()
    bench.kernel.lines = ["one", "22", "three"]
    assert bench.value(code) == value


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A script's directory `app`, a working directory `work`, and something outside both."""
    for name in ("app/lib", "work", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "app/lib/shapes.lua").write_text(
        "local name = ... return {area = function(r) return r * r end, name = name}"
    )
    (tmp_path / "app/broken.lua").write_text("return = 5")
    (tmp_path / "work/input.lua").write_text("#!/usr/bin/lua\nreturn {size = 3, where = 'work'}")
    (tmp_path / "outside/secret.lua").write_text("return 'secret'")
    (tmp_path / "outside/secret.txt").write_text("secret")
    (tmp_path / "work/link.lua").symlink_to(tmp_path / "outside/secret.lua")
    (tmp_path / "work/data.txt").write_text("first\nsecond\n")
    return tmp_path


def _placed(place: Path, *, access: bool = False) -> LuaBench:
    bench = LuaBench()
    bench.place(Files(str(place / "app"), str(place / "work"), access))
    return bench


def test_modules_are_found_below_the_scripts_directory(place: Path) -> None:
    bench = _placed(place)
    assert bench.value("local m = require('lib.shapes') return {m.area(3), m.name, m == require('lib.shapes')}") == [
        9,
        "lib.shapes",
        True,
    ]


def test_dofile_reads_relative_to_the_working_directory(place: Path) -> None:
    assert _placed(place).value("return dofile('input.lua')") == {"size": 3, "where": "work"}


def test_loadfile_gives_nil_and_why(place: Path) -> None:
    bench = _placed(place)
    assert bench.value("local f, why = loadfile('absent.lua') return {f == nil, why}") == [
        True,
        "cannot open absent.lua",
    ]


def test_a_module_that_is_missing_lists_where_it_was_looked_for(place: Path) -> None:
    message = _placed(place).caught("require('absent')")
    assert message.startswith(
        "module 'absent' not found:\n\tno field package.preload['absent']\n\tno file './absent.lua'"
    )


def test_a_module_that_does_not_compile_says_where(place: Path) -> None:
    message = _placed(place).caught("require('broken')")
    assert message.startswith("error loading module 'broken':\n\t")
    assert "broken.lua:1:" in message


def test_preload_and_path_can_be_set(place: Path) -> None:
    bench = _placed(place)
    assert bench.value("package.preload.x = function() return 'preloaded' end return (require('x'))") == "preloaded"
    assert bench.value("package.path = './in?.lua' return require('put').where") == "work"


@pytest.mark.parametrize("path", ["../outside/secret.lua", "/etc/passwd", "link.lua", "../work/../outside/secret.lua"])
def test_no_module_is_read_from_elsewhere(place: Path, path: str) -> None:
    assert "Path not allowed" in _placed(place).caught(f"dofile('{path}')")


def test_without_a_place_modules_need_a_kernel_on_this_machine() -> None:
    bench = LuaBench()
    assert bench.caught("dofile('x.lua')") == "files of scripts need a kernel on this machine"
    assert "files of scripts need a kernel on this machine" in bench.caught("require('x')")


def test_files_are_read_in_the_scripts_directories_and_not_written(place: Path) -> None:
    bench = _placed(place)
    assert bench.value("return io.open('data.txt'):read('a')") == "first\nsecond\n"
    assert bench.value("for line in io.lines('data.txt') do return line end") == "first"
    opened = bench.value("local f, why, code = io.open('data.txt', 'w') return {f == nil, why, code}")
    assert opened == [True, "io.open: writing data.txt needs --allow-write=data.txt (Path not allowed)", 13]
    assert bench.value("return io.open('data.txt'):read('a')") == "first\nsecond\n"


def test_allowed_files_are_read_and_written_in_their_directories(place: Path) -> None:
    bench = _placed(place, access=True)
    assert bench.value("local f = io.open('data.txt') local s = f:read('a') f:close() return s") == "first\nsecond\n"
    assert bench.value("local t = {} for l in io.lines('data.txt') do t[#t + 1] = l end return t") == [
        "first",
        "second",
    ]
    bench.run("f = io.open('new.txt', 'w') f:write('not closed')")
    assert (place / "work/new.txt").read_text() == "not closed"
    bench.run("os.rename('new.txt', 'newer.txt')")
    assert (place / "work/newer.txt").exists()
    bench.run("assert(os.remove('newer.txt'))")
    assert not (place / "work/newer.txt").exists()


@pytest.mark.parametrize("path", ["../outside/secret.txt", "/etc/passwd", "link.lua", "../outside/new.txt", "."])
@pytest.mark.parametrize("mode", ["r", "w", "a", "r+"])
def test_allowed_files_end_at_their_directories(place: Path, path: str, mode: str) -> None:
    bench = _placed(place, access=True)
    assert "Path not allowed" in bench.value(f"local _, why = io.open('{path}', '{mode}') return why")
    assert (place / "outside/secret.txt").read_text() == "secret"
    assert not (place / "outside/new.txt").exists()


def test_a_temporary_name_is_the_scripts_own(place: Path) -> None:
    bench = _placed(place, access=True)
    code = """
    local name = os.tmpname()
    local f = assert(io.open(name, 'w')) f:write('x') f:close()
    f = assert(io.open(name)) local text = f:read('a') f:close()
    assert(os.remove(name))
    return text
    """
    assert bench.value(code) == "x"

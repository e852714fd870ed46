"""What a script may do by permission: files, programs and variables, and what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from llmspell_kernel.identity import PUBLIC, Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.lua.files import Files
from llmspell_kernel.scripting.lua.programs import Programs
from llmspell_kernel.scripting.rights import NO_RIGHTS, Rights, granted
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.request_options import RequestOptions
from tests.support.lua_kernel import LuaBench
from tests.support.script_harness import Frontend


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory and what is beside it."""
    for name in ("work", "beside/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "beside/deep/a.txt").write_text("deep")
    (tmp_path / "beside/one.txt").write_text("one")
    (tmp_path / "beside/two.txt").write_text("two")
    (tmp_path / "link.txt").symlink_to("beside/one.txt")
    (tmp_path / "work/in.txt").write_text("in")
    return tmp_path


def bench(place: Path, *, read: Sequence[str] = (), write: Sequence[str] = ()) -> LuaBench:
    made = LuaBench()
    work = str(place / "work")
    made.place(Files(work, work, read=[_at(place, one) for one in read], write=[_at(place, one) for one in write]))
    return made


def _at(place: Path, path: str) -> str:
    return path if path == "*" else str(place / path)


def read(path: str) -> str:
    return f"local f, why = io.open('{path}') return f and f:read('a') or why"


def write(path: str) -> str:
    return f"local f, why = io.open('{path}', 'w') if f then f:write('new') f:close() end return why or 'written'"


@pytest.mark.parametrize(
    ("granted_paths", "path", "text"),
    [
        (["beside"], "../beside/one.txt", "one"),
        (["beside"], "../beside/deep/a.txt", "deep"),
        (["beside/deep"], "../beside/one.txt", None),
        (["beside/one.txt"], "../beside/one.txt", "one"),
        (["beside/one.txt"], "../beside/two.txt", None),
        (["beside/one.txt"], "../link.txt", None),
        (["link.txt"], "../link.txt", "one"),
        (["*"], "../beside/two.txt", "two"),
        (["nosuch"], "../beside/two.txt", None),
        ([], "in.txt", "in"),
    ],
)
def test_a_script_reads_what_it_was_granted(place: Path, granted_paths: list[str], path: str, text: str | None) -> None:
    found = bench(place, read=granted_paths).value(read(path))
    assert found == (text or f"io.open: reading {path} needs --allow-read={path} (Path not allowed)")


@pytest.mark.parametrize(
    ("granted_paths", "path", "may"),
    [
        (["work"], "new.txt", True),
        (["beside/new.txt"], "../beside/new.txt", True),
        (["beside/new.txt"], "../beside/one.txt", False),
        (["*"], "../beside/new.txt", True),
        ([], "in.txt", False),
    ],
)
def test_a_script_writes_what_it_was_granted(place: Path, granted_paths: list[str], path: str, may: bool) -> None:
    said = bench(place, write=granted_paths).value(write(path))
    assert said == ("written" if may else f"io.open: writing {path} needs --allow-write={path} (Path not allowed)")
    assert (place / "work" / path).exists() is (may or path in ("in.txt", "../beside/one.txt"))
    assert (place / "beside/one.txt").read_text() == "one"


def test_reading_what_may_only_be_written_is_refused(place: Path) -> None:
    made = bench(place, write=["beside"])
    assert made.value(read("../beside/one.txt")).startswith("io.open: reading ")
    update = "local f, why = io.open('../beside/one.txt', 'r+') return why"
    assert made.value(update).startswith("io.open: reading ")


@pytest.mark.parametrize(
    ("code", "doing"),
    [
        ("return select(2, os.remove('../beside/one.txt'))", "os.remove: writing ../beside/one.txt needs"),
        ("return select(2, os.rename('in.txt', 'out.txt'))", "os.rename: writing in.txt needs --allow-write=in.txt"),
        ("return select(2, pcall(io.lines, '../beside/one.txt'))", "io.lines: reading ../beside/one.txt needs"),
        ("return select(2, pcall(dofile, '../beside/one.txt'))", "needs --allow-read=../beside/one.txt"),
    ],
)
def test_a_refusal_names_function_path_and_permission(place: Path, code: str, doing: str) -> None:
    assert doing in bench(place).value(code)


@pytest.mark.parametrize(
    "code",
    ["io.open('../beside/one.txt'):read('a')", "local f = io.open('../beside/one.txt')\nprint(1)\nprint('x' .. f)"],
)
def test_an_error_of_a_nil_tells_what_the_file_would_have_needed(place: Path, code: str) -> None:
    made = bench(place)
    needed = "io.open: reading ../beside/one.txt needs --allow-read=../beside/one.txt (Path not allowed)"
    assert made.failure(code).hint == needed


@pytest.mark.parametrize("programs", [None, Programs(["ls"])])
def test_an_error_of_a_nil_tells_what_the_program_would_have_needed(programs: Programs | None) -> None:
    made = LuaBench()
    made.place(programs=programs)
    needed = "io.popen: running date needs --allow-run=date (Command blocked)"
    assert made.failure("io.popen('date'):read('a')").hint == needed


@pytest.mark.parametrize(
    "code", ["io.open('../beside/one.txt') error('of another kind')", "io.open('nosuch.txt'):read('a')"]
)
def test_other_errors_do_not_speak_of_permissions(place: Path, code: str) -> None:
    made = bench(place)
    assert made.failure(code).hint is None


def test_modules_are_read_where_files_may_be(place: Path) -> None:
    (place / "beside/m.lua").write_text("return 'module'")
    assert bench(place, read=["beside"]).value("return dofile('../beside/m.lua')") == "module"


def test_the_root_of_the_machine_is_no_directory_of_a_script() -> None:
    made = LuaBench()
    made.place(Files("/", "/"))
    assert "needs --allow-read=/etc/hostname" in made.value(read("/etc/hostname"))


def programs(*names: str) -> LuaBench:
    made = LuaBench()
    made.place(programs=Programs(names))
    return made


def test_without_permission_no_program_runs() -> None:
    made = LuaBench()
    assert made.caught("os.execute('ls -l')") == "os.execute: running ls needs --allow-run=ls (Command blocked)"
    refused = made.value("local p, why, code = io.popen('ls') return {p == nil, why, code}")
    assert refused == [True, "io.popen: running ls needs --allow-run=ls (Command blocked)", 13]
    assert made.value("return os.execute()") is False


@pytest.mark.parametrize("command", ["echo a; ls", "echo $HOME", "echo `ls`", "echo a > f", "echo a | cat", "echo *"])
def test_a_named_program_gets_no_shell(command: str) -> None:
    assert "needs a shell: --allow-run without names" in programs("echo").caught(f"os.execute('{command}')")


@pytest.mark.parametrize("command", ["/bin/echo a", "./echo a", "cat f", "GRANTED=no echo", "'cat' f"])
def test_another_program_is_refused(command: str) -> None:
    assert "(Command blocked)" in programs("echo").caught(f'os.execute("{command}")')


def test_a_variable_that_may_not_be_read_is_nil_and_said_once() -> None:
    made = LuaBench()
    made.place(MODEL="m")
    assert made.value("return {os.getenv('MODEL'), os.getenv('HOME') == nil, os.getenv('HOME') == nil}") == [
        "m",
        True,
        True,
    ]
    refused = "os.getenv: reading HOME needs --allow-env=HOME"
    assert made.kernel.errors == f"warning: {refused}; it is nil here\n"
    assert made.value("return select(2, os.getenv('HOME'))") == refused


@pytest.mark.parametrize("variables", [["HOME"], ["*"]])
def test_a_variable_that_may_be_read_and_is_not_set_is_nil(variables: list[str]) -> None:
    made = LuaBench()
    made.sandbox.prepare(files=Files(), environment={}, variables=variables)
    assert made.value("return os.getenv('HOME') == nil") is True
    assert made.kernel.errors == ""


def asking(allow: dict[str, list[str]] | None, **caller: object) -> Request:
    fields: dict[str, object] = {"client": "c", "session": "s", **caller}
    request = Request("r", "execute_request", {}, Caller(**fields), Frontend())  # type: ignore[arg-type]
    request.options = RequestOptions(allow=allow)
    return request


def test_who_may_do_everything_with_the_kernel_can_grant() -> None:
    assert granted(asking({"read": ["/a"], "run": ["*"]})) == Rights(read=("/a",), run=("*",))
    assert granted(asking(None, capabilities=frozenset({"execute"}))) == NO_RIGHTS


def test_another_key_and_a_client_elsewhere_can_grant_nothing() -> None:
    with pytest.raises(Forbidden, match=r"--allow-write needs the right 'admin'"):
        granted(asking({"write": ["*"]}, capabilities=frozenset({"execute", "infer"})))
    with pytest.raises(Forbidden, match=r"--allow-run: a client on another machine"):
        granted(asking({"run": ["ls"]}, local=False, reach=PUBLIC))


def test_a_permission_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="there are read, write, net, run, env"):
        granted(asking({"files": ["/a"]}))
    with pytest.raises(InvalidRequest, match=r"'a\.txt' is not an absolute path"):
        granted(asking({"read": ["a.txt"]}))

"""`Notebook`, `input`, `getpass`, `io.read` and earlier results, in a state of the test's own process."""

from __future__ import annotations

import pytest

from tests.support.lua_kernel import LuaBench


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


def cell(bench: LuaBench, number: int, code: str) -> str | None:
    """What a counted cell of a frontend shows."""
    bench.sandbox.prepare(files=bench.sandbox.host.reach.files, environment={}, payloads=True)
    return bench.sandbox.execute(code, f"In[{number}]", shows_value=True, number=number).text


def test_a_cell_asks_its_frontend_for_a_page_and_a_next_cell_the_last_of_each(bench: LuaBench) -> None:
    cell(
        bench,
        1,
        "Notebook.page('a') Notebook.page('b') Notebook.set_next_input('x = 1') Notebook.set_next_input('y = 2', true)",
    )
    assert list((bench.sandbox.host.payloads or {}).values()) == [
        {"source": "page", "data": {"text/plain": "b"}, "start": 0},
        {"source": "set_next_input", "text": "y = 2", "replace": True},
    ]
    cell(bench, 2, "x = 1")
    assert bench.sandbox.host.payloads == {}


def test_a_script_prints_a_page_and_has_no_next_cell(bench: LuaBench) -> None:
    bench.run("Notebook.page('a long text')")
    assert bench.kernel.output == "a long text\n"
    assert "Component error: Notebook.set_next_input needs a notebook" in bench.caught("Notebook.set_next_input('x')")


def test_help_prints_where_to_look(bench: LuaBench) -> None:
    bench.run("Notebook.help()")
    assert "Shift-Tab" in bench.kernel.output
    assert "docs/reference/lua.md" in bench.kernel.output


def test_earlier_results_are_found_under_their_numbers(bench: LuaBench) -> None:
    assert cell(bench, 1, "6 * 7") == "42"
    assert cell(bench, 2, "_ + 1") == "43"
    assert cell(bench, 3, "x = 1") is None
    assert cell(bench, 4, "{_, __, Out[1], Out[2], Out[3], In[1], In[3]}") == '{43, 42, 42, 43, nil, "6 * 7", "x = 1"}'
    assert cell(bench, 5, "___") == "42"


def test_what_a_script_has_given_these_names_stays_its_own(bench: LuaBench) -> None:
    cell(bench, 1, "_ = 'mine' Out = 'mine too'")
    cell(bench, 2, "5")
    assert cell(bench, 3, "{_, Out}") == '{"mine", "mine too"}'
    assert bench.value("return rawget(_G, 'In') ~= nil") is True


def test_only_the_last_results_are_kept(bench: LuaBench) -> None:
    for number in range(1, 103):
        cell(bench, number, f"{number}")
    assert (
        cell(bench, 103, "{Out[3], tostring(Out[1]), tostring(Out[2]), tostring(In[2])}") == '{3, "nil", "nil", "nil"}'
    )


def test_a_line_is_asked_for_behind_a_prompt(bench: LuaBench) -> None:
    bench.kernel.lines = ["Ada", "secret"]
    assert bench.value("return {input('name? '), getpass('key? '), tostring(input())}") == ["Ada", "secret", "nil"]
    assert bench.kernel.asked == [("name? ", False), ("key? ", True), ("", False)]
    assert "bad argument #1 to 'input' (string expected, got table)" in bench.caught("input({})")


@pytest.mark.parametrize(
    ("lines", "call", "expected"),
    [
        (["one", "two"], "{io.read(), io.read('l'), tostring(io.read())}", ["one", "two", "nil"]),
        (["one"], "{io.read('L')}", ["one\n"]),
        (["one", "two"], "{io.read('a'), io.read('a'), tostring(io.read('l'))}", ["one\ntwo\n", "", "nil"]),
        (["abcdef"], "{io.read(2), io.read(0), io.read('l')}", ["ab", "", "cdef"]),
        (["  42 0x1F", "", " -1.5e2x 7"], "{io.read('n', 'n', 'n', 'l')}", [42, 31, -150.0, "x 7"]),
        (["word"], "{tostring(io.read('n')), io.read('l')}", ["nil", "word"]),
        (["1 2"], "{io.read('*n', '*l')}", [1, " 2"]),
        (["5", "rest"], "{io.read('n', 'l', 'l')}", [5, "", "rest"]),
        ([], "{tostring(io.read('n'))}", ["nil"]),
    ],
)
def test_io_read_reads_all_formats(bench: LuaBench, lines: list[str], call: str, expected: list[object]) -> None:
    bench.kernel.lines = lines
    assert bench.value(f"return {call}") == expected


def test_an_unknown_format_is_an_error(bench: LuaBench) -> None:
    assert "bad argument #1 to 'read' (invalid format)" in bench.caught("io.read('z')")

"""What scripts show, as commands do: text, updates in their place at a terminal, and a list in JSON, in both modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.command_line import AtTerminal, llmspell
from tests.support.json_reference import problems
from tests.support.rendered import rendered

SCRIPT = """
print("before")
display{html = "<b>bold</b>"}
local d = display("step 1", {id = "steps"})
d:update("step 2")
d:update{markdown = "**step 3**"}
local p = Progress.new(3, "files")
for i = 1, 3 do p:update(i) end
p:done()
display{{name = "a", n = 1}, {name = "bb", n = 2}}
"""


def test_in_a_pipe_everything_that_is_shown_is_text(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "show.lua").write_text(SCRIPT)
    done = llmspell(*target, "run", "show.lua")
    assert done.status == 0
    assert done.out == "before\nbold\nstep 1\nstep 2\n**step 3**\nn  name\n1  a\n2  bb\n"
    assert done.err == "files  3 of 3  ✓\n"


def test_json_has_a_list_of_what_was_shown_as_it_was_last(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "show.lua").write_text(SCRIPT)
    document = llmspell(*target, "run", "--json", "show.lua").document
    bold, steps, table = document["displays"]
    assert bold == {"data": {"text/html": "<b>bold</b>", "text/plain": "bold"}, "metadata": {}}
    assert steps["display_id"] == "steps"
    assert steps["data"] == {"text/markdown": "**step 3**", "text/plain": "**step 3**"}
    assert table["data"]["text/html"].startswith("<table>")
    assert document["output"].startswith("before\nbold\nstep 1\n")
    assert problems("run", document) == []


def test_events_have_the_display_beside_its_text(target: list[str]) -> None:
    events = llmspell(*target, "exec", "--json", "--stream", "display{html = '<i>x</i>'} clear_output()").events
    shown, cleared = (event for event in events if event.get("display"))
    assert (shown["text"], shown["display"]["kind"]) == ("x\n", "display_data")
    assert shown["display"]["data"]["text/html"] == "<i>x</i>"
    assert (cleared["text"], cleared["display"]["kind"]) == ("", "clear_output")
    assert [problem for event in events for problem in problems("exec", event)] == []


def test_at_a_terminal_an_update_takes_the_place_of_what_was_there(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "show.lua").write_text(SCRIPT)
    terminal = AtTerminal([*target, "run", "show.lua"])
    terminal.wait_for("2  bb")
    terminal.end()
    lines = [line.rstrip() for line in rendered(terminal.text, 80)]
    shown = lines[lines.index("before") :]
    assert shown[:7] == ["before", "bold", "**step 3**", "files  3 of 3  ✓", "n  name", "1  a", "2  bb"]


def test_what_stands_above_other_lines_is_not_replaced(target: list[str]) -> None:
    code = "local d = display('one', {id = true}) print('between') d:update('two') d:update('three')"
    terminal = AtTerminal([*target, "exec", code])
    terminal.wait_for("three")
    terminal.end()
    assert [line.rstrip() for line in rendered(terminal.text, 80) if line.strip()] == ["one", "between", "three"]


def test_the_repl_shows_displays_and_has_them_in_json(target: list[str], repl: Callable[..., AtTerminal]) -> None:
    (event,) = llmspell(*target, "repl", "--json", stdin="display{html = '<b>x</b>'}\n").events
    assert event["displays"] == [{"data": {"text/html": "<b>x</b>", "text/plain": "x"}, "metadata": {}}]
    assert event["output"] == "x\n"
    assert problems("repl", event) == []
    terminal = repl()
    terminal.type("display{html = '<b>bold</b>'}\r")
    terminal.wait_for("bold\r\n")
    terminal.type(".exit\r")
    terminal.end()

"""What Tab offers: live values, what calls give, local names, keys of options, modules and files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmspell_kernel.scripting.lua import questions
from llmspell_kernel.scripting.lua.indent import next_indent
from llmspell_kernel.scripting.lua.reference import options_of, sections
from llmspell_kernel.scripting.lua.tokens import tokens
from tests.support.lua_kernel import LuaBench, reply
from tests.unit.kernel.test_lua_reference import AGENT


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["agent create"] = reply(agent=AGENT)
    return bench


@pytest.mark.parametrize(
    ("text", "names", "replaced"),
    [
        ("Age|", ["Agent"], "Age"),
        ("x = JSON.p|", ["parse"], "p"),
        ("string.rep|", ["rep"], "rep"),
        ("name:upp|", ["upper"], "upp"),
        ("('x'):upp|", ["upper"], "upp"),
        ("things.inner.de|", ["deep"], "de"),
        ("things.list[1].na|", ["name"], "na"),
        ("things['inner'].|", ["deep"], ""),
        ("things:|", [], ""),
        ("whi|", ["while"], "whi"),
        ("made.inherit|", ["inherited"], "inherit"),
        ("absent.x|", [], "x"),
        ("1.|", [], ""),
        ("a..na|", ["name"], "na"),
        ("things['a|", ["a key"], "a"),
        ("Config.getS|", ["getSection", "getSecurity"], "getS"),
        ("Debug.flame|", ["flameGraph"], "flame"),
    ],
)
def test_values_that_there_are(bench: LuaBench, text: str, names: list[str], replaced: str) -> None:
    bench.run(
        "things = {inner = {deep = 1}, list = {{name = 2}}, ['a key'] = 1} name = 'x'"
        " made = setmetatable({}, {__index = {inherited = 1}})"
    )
    assert bench.completed(text) == (names, replaced)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Agent.builder():te|", ["temperature"]),
        ("Agent.builder():model('a)b'):sche|", ["schema"]),
        ("Agent.builder()\n  :model('x')\n  :bui|", ["build"]),
        ("Agent.create{model = 'x'}:gener|", ["generate"]),
        ("a:compl|", ["complete"]),
        ("a:execute('x').finish|", ["finish_reason"]),
        ("LocalLLM.chat('x').tru|", ["truncated"]),
        ("Agent.builder():nosuch():|", []),
        ("nosuch().t|", []),
        ("JSON.parse('x').t|", []),
        ("Tool.exe|", ["execute"]),
        ("Tool.get('x'):exec|", ["execute"]),
        ("Tools.regis|", ["register"]),
        ("local b = Agent.builder():model('x'):build()\nprint(1)\nb:gener|", ["generate"]),
        ("local b = Agent.builder()\nlocal c = b:build() local d = c\nd:gener|", ["generate"]),
        ("local b = JSON\nb.stri|", ["stringify"]),
    ],
)
def test_what_a_call_gives_and_a_variable_was_given(bench: LuaBench, text: str, names: list[str]) -> None:
    bench.run("a = Agent.create{}")
    assert bench.completed(text)[0] == names


def test_local_names_parameters_and_loops_of_the_cell(bench: LuaBench) -> None:
    code = "local alpha, alps = 1 local function alto(alga) for album, alley in pairs(x) do al|"
    assert bench.completed(code)[0] == ["album", "alga", "alley", "alpha", "alps", "alto"]
    assert bench.completed("local al|")[0] == [], "a new name is nobody's"


@pytest.mark.parametrize("text", ["al|phabet = 1", "print(al|phabet)", "alphabet|", "|alphabet"])
def test_a_name_is_replaced_whole_wherever_the_cursor_is_in_it(bench: LuaBench, text: str) -> None:
    bench.run("alphabet = 1")
    names, replaced = bench.completed(text)
    assert "alphabet" in names
    assert replaced == ("alphabet" if not text.startswith("|") else "")


def test_positions_count_characters_and_not_bytes(bench: LuaBench) -> None:
    found = questions.complete(bench.sandbox, "x = '🎉é' .. Age", 15)
    assert (found["start"], found["end"], [one[0] for one in found["matches"]]) == (12, 15, ["Agent"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LocalLLM.chat{ mo|", ["model"]),
        ("LocalLLM.chat({\n  model = 'x',\n  m|", ["messages", "min_p", "max_tokens"]),
        ("LocalLLM.generate('x', {ra|", ["raw"]),
        ("Agent.create { tools = {'a', 'b'}; system|", ["system_prompt"]),
        ("a:execute('x', {te|", ["temperature"]),
        ("local b = Agent.create{} b:execute('x', {te|", ["temperature"]),
        ("Tool.execute('calculator', {operat|", ["operation"]),
        ("Tool.calculator:execute{operat|", ["operation"]),
        ("Workflow.loop{ max_i|", ["max_iterations"]),
    ],
)
def test_keys_of_a_table_of_options(bench: LuaBench, text: str, expected: list[str]) -> None:
    bench.run("a = Agent.create{}")
    names, _ = bench.completed(text)
    assert [name for name in names if name in expected] == expected
    assert names[: len(expected)] == expected, "keys come first"


def test_a_key_that_is_there_is_not_offered_again_and_none_where_a_value_stands(bench: LuaBench) -> None:
    assert "model" not in bench.completed("LocalLLM.chat{model = 'x', |")[0]
    assert "model" not in bench.completed("LocalLLM.chat{model = |")[0]
    assert "model" not in bench.completed("LocalLLM.chat{messages = {{|")[0]


REFUSED = {
    "Agent.create": "Agent.create{%s}",
    "Agent.create_context": "Agent.create_context{%s}",
    "Artifact.query": "Artifact.query{%s}",
    "Debug.dumpWithOptions": "Debug.dumpWithOptions(1, {%s})",
    "Debug.stackTrace": "Debug.stackTrace{%s}",
    "Event.publish": "Event.publish('a', 1, {%s})",
    "Hook.list": "Hook.list{%s}",
    "LocalLLM.chat": "LocalLLM.chat{%s}",
    "LocalLLM.embed": "LocalLLM.embed('x', {%s})",
    "LocalLLM.generate": "LocalLLM.generate('x', {%s})",
    "LocalLLM.load": "LocalLLM.load('x', {%s})",
    "Replay.create_config": "Replay.create_config('exact', {%s})",
    "Session.create": "Session.create{%s}",
    "Session.list": "Session.list{%s}",
    "State.set": "State.set('s', 'k', 1, {%s})",
    "Tool.discover": "Tool.discover{%s}",
    "Tool.register": "Tool.register{%s}",
    "agent.execute": "a:execute('x', {%s})",
}
"""Functions that refuse keys that they don't have, and name those that they have."""


@pytest.mark.parametrize(("function", "call"), REFUSED.items(), ids=REFUSED)
def test_the_keys_that_are_offered_are_those_that_a_function_takes(bench: LuaBench, function: str, call: str) -> None:
    bench.run("a = Agent.create{}")
    said = bench.caught(call % "zzzz_none = 1")
    listed = re.search(r"; it has ([\w, ]+)$", said)
    assert listed is not None, said
    section, _, name = function.partition(".")
    assert set(options_of(section, name)) == set(listed[1].split(", "))


def test_every_table_of_options_belongs_to_a_function() -> None:
    from llmspell_kernel.scripting.lua import reference

    for name in reference._read()["options"]:
        section, dot, function = name.partition(".")
        if dot:
            assert sections()[section].fields[function].call is not None, name
            assert len(set(options_of(section, function))) == len(options_of(section, function)) > 0, name


@pytest.fixture
def directory(tmp_path: Path) -> str:
    root = tmp_path / "work"
    (root / "data").mkdir(parents=True)
    (root / "pack").mkdir()
    for name in ("data/one.csv", "data/two.csv", "main.lua", "other.lua", ".hidden", "pack/init.lua", "pack/part.lua"):
        (root / name).write_text("")
    (tmp_path / "secret.txt").write_text("")
    return str(root)


@pytest.mark.parametrize(
    ("text", "names", "replaced"),
    [
        ("io.open('da|')", ["data/"], "da"),
        ("io.open 'data/|.csv'", ["one.csv", "two.csv"], ".csv"),
        ('dofile("ma|', ["main.lua"], "ma"),
        ("loadfile('./o|ther.lua')", ["other.lua"], "other.lua"),
        ("x = 'data/t|'", ["two.csv"], "t"),
        ("x = 'da|'", [], ""),
        ("io.open('.h|", [".hidden"], ".h"),
        ("io.open('../|", [], ""),
        ("io.open('/|", [], ""),
        ("io.open([[data/o|]])", ["one.csv"], "o"),
        ("require('pa|')", ["pack", "package"], "pa"),
        ("require 'pack.|", ["pack.init", "pack.part"], "pack."),
        ("require('str|", ["string"], "str"),
    ],
)
def test_names_of_files_and_modules_in_texts(
    bench: LuaBench, directory: str, text: str, names: list[str], replaced: str
) -> None:
    from llmspell_kernel.scripting.lua.files import Files

    bench.place(Files(working_directory=directory))
    assert bench.completed(text, directory) == (names, replaced)


def test_no_file_is_told_that_a_script_may_not_read_not_even_by_a_link(bench: LuaBench, directory: str) -> None:
    (Path(directory) / "out").symlink_to(Path(directory).parent)
    assert bench.completed("io.open('out/|", directory)[0] == []
    assert bench.completed("io.open('data/|")[0] == [], "a caller on another machine sees none"


def test_names_of_tools_in_texts(bench: LuaBench) -> None:
    assert bench.completed("Tool.get('calc|")[0] == ["calculator"]


@pytest.mark.parametrize("text", ["-- Age|", "--[[ Age|", "'Age|'", "[[Age|]]", '"Age|'])
def test_nothing_in_comments_and_plain_texts(bench: LuaBench, text: str) -> None:
    assert bench.completed(text)[0] == []


def test_types_and_signatures(bench: LuaBench) -> None:
    bench.run("function mine(first, second, ...) end  value = 1  box = {n = 1}")
    found = {
        one[0]: tuple(one[1:])
        for code in ("", "JSON.", "box.")
        for one in questions.complete(bench.sandbox, code, len(code))["matches"]
    }
    assert found["Agent"] == ("module", "")
    assert found["parse"] == ("function", "(text)")
    assert found["null"] == ("instance", "")
    assert found["mine"] == ("function", "(first, second, ...)")
    assert found["value"] == ("instance", "")
    assert found["n"] == ("instance", "")
    assert found["while"] == ("keyword", "")
    assert found["print"] == ("function", "(...)")


def test_no_function_of_the_script_is_called(bench: LuaBench) -> None:
    bench.run(
        """
        calls = 0
        local function called() calls = calls + 1 return "x" end
        trap = setmetatable({[setmetatable({}, {__tostring = called})] = 1, [{}] = 2},
          {__index = called, __tostring = called, __pairs = called, __len = called, __name = 'trap'})
        """
    )
    for text in ("trap.|", "trap.x.y|", "trap:x|", "trap['|", "trap.x|()"):
        bench.completed(text)
        bench.inspected(text)
    bench.inspected("tr|ap")
    assert bench.value("return calls") == 0


def test_tables_of_very_many_fields_are_bounded(bench: LuaBench) -> None:
    bench.run("many = {} for i = 1, 5000 do many['field_' .. i] = i end")
    assert len(bench.completed("many.|")[0]) == 1000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "(" * 90_000 + "}" * 90_000,
        "f()(" * 40_000,
        "x = {" * 40_000,
        "f('" * 40_000,
        "[[" * 90_000,
        "[=" * 90_000,
        "a.b" * 60_000 + ".",
        "a[1]" * 40_000 + ".",
        "a=b " * 40_000 + "b.",
        "  x = [[]]\n" * 15_000 + "if x then",
        "function f() " * 15_000 + "end " * 15_000,
        "\\" * 90_000,
        '"\\"' * 60_000,
    ],
    ids=range(13),
)
def test_no_code_takes_long_however_it_is_made(bench: LuaBench, text: str) -> None:
    bench.completed(text + "|")
    bench.inspected(text + "|")
    next_indent(text)


def test_of_very_long_code_the_end_is_read(bench: LuaBench) -> None:
    assert bench.completed("y = 1\n" * 100_000 + "Age|") == (["Agent"], "Age")


def test_tokens_tell_strings_comments_and_numbers_apart() -> None:
    found = tokens("a.b:c'x\\'y' .. 1.5 .. [==[ ]] ]==] --[[ z ]] \"open\nq --c")
    assert [(token.kind, token.text) for token in found if token.kind != "operator"] == [
        ("name", "a"),
        ("name", "b"),
        ("name", "c"),
        ("string", "'x\\'y'"),
        ("number", "1.5"),
        ("string", "[==[ ]] ]==]"),
        ("comment", "--[[ z ]]"),
        ("string", '"open'),
        ("name", "q"),
        ("comment", "--c"),
    ]
    assert [token.closed for token in found if token.kind in ("string", "comment")] == [True, True, True, False, False]

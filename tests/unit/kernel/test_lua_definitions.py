"""The definitions of scripts' functions for editors: Lua that compiles, annotations that a language server reads."""

from __future__ import annotations

import re

import pytest
from lupa.lua54 import LuaRuntime

from llmspell_kernel.scripting.lua.definitions import Parameter, definitions, parameters
from llmspell_kernel.scripting.lua.reference import parameter_types, sections

LINES = definitions().splitlines()
NAME = r"[A-Za-z_][\w.]*"
ARGUMENT = rf"{NAME}\??: [^,()]+"
ONE = (
    rf"(?:fun\((?:{ARGUMENT}(?:, {ARGUMENT})*)?\)(?:: {NAME}\??)?"
    rf"|table<[^<>]+, {NAME}\??>"
    rf"|{NAME}(?:\[\])?\*?\??)"
)
TYPE = re.compile(rf"{ONE}(?:\|{ONE})*")
ANNOTATIONS = {
    "meta": re.compile(r"\Z"),
    "class": re.compile(rf"{NAME}\Z"),
    "field": re.compile(rf"(?:{NAME}|\[string\]) (?P<type>\S+)(?: .+)?\Z"),
    "param": re.compile(rf"{NAME}\?? (?P<type>.+)\Z"),
    "return": re.compile(r"(?P<type>.+)\Z"),
    "overload": re.compile(r"(?P<type>fun\(.*\).*)\Z"),
    "type": re.compile(r"(?P<type>.+)\Z"),
}
BUILT_IN = {"any", "string", "number", "integer", "boolean", "table", "function", "fun", "file", "nil"}


def functions() -> list[str]:
    return re.findall(r"^function ((?:[\w.]+[.:])?\w+)\(", definitions(), re.MULTILINE)


def annotations() -> list[tuple[str, str]]:
    found = []
    for line in LINES:
        if line.startswith("---@"):
            word, _, rest = line.removeprefix("---@").partition(" ")
            found.append((word, rest))
    return found


def test_the_file_is_lua() -> None:
    LuaRuntime().execute(definitions())


@pytest.mark.parametrize("word", ANNOTATIONS)
def test_each_annotation_is_well_formed(word: str) -> None:
    rests = [rest for one, rest in annotations() if one == word]
    assert rests
    for rest in rests:
        form = ANNOTATIONS[word].match(rest)
        assert form is not None, rest
        if "type" in form.groupdict():
            assert TYPE.fullmatch(form["type"]), rest


def test_there_are_no_other_annotations() -> None:
    assert {word for word, _ in annotations()} == set(ANNOTATIONS)


def test_each_class_that_is_named_is_defined() -> None:
    defined = {rest for word, rest in annotations() if word == "class"}
    named = set(re.findall(r"\bllmspell\.\w+", "\n".join(rest for word, rest in annotations() if word != "class")))
    assert named <= defined
    types = {name for text in parameter_types().values() for name in re.findall(r"[a-z_]\w*(?!\w*[:(])", text)}
    assert types - set(sections()) <= BUILT_IN


def test_parameters_are_annotated_in_the_order_of_the_function() -> None:
    before: list[str] = []
    for line in LINES:
        if line.startswith("---@param "):
            before.append(line.split()[1].removesuffix("?"))
        elif (head := re.match(r"function \S+\((.*)\) end\Z", line)) is not None:
            assert [name for name in head[1].split(", ") if name] == before, line
            before = []


def test_every_function_of_the_reference_is_there() -> None:
    expected = {
        one.name for one in sections().values() if one.kind == "global" and one.call is not None and one.name != "print"
    }
    for section in sections().values():
        for entry in section.fields.values():
            if entry.call is not None and section.kind != "library":
                expected.add(
                    f"{section.name}_object:{entry.name}"
                    if section.kind == "object"
                    else f"{section.name}.{entry.name}"
                )
        if section.kind == "global" and section.call is not None and section.name != "print":
            expected.add(section.name)
    found = functions()
    assert set(found) == expected
    assert len(found) == len(expected)


def test_each_function_has_its_text_and_its_version() -> None:
    text = definitions()
    assert "---Asks a model. `request` is the prompt" in text
    assert text.count("(since ") == len(functions())


def test_every_type_of_a_parameter_is_used() -> None:
    used: set[str] = set()
    for section in sections().values():
        for entry in section.fields.values():
            for one in parameters(entry.call or "()"):
                used |= {one.name, f"{section.name}.{entry.name}.{one.name}"}
        for one in parameters(section.call or "()"):
            used |= {one.name, f"{section.name}.{section.name}.{one.name}"}
    assert set(parameter_types()) <= used


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("()", []),
        ("(text[, indent])", [("text", False), ("indent", True)]),
        ("([name, ]settings)", [("name", True), ("settings", False)]),
        ("(parent[, scope[, inheritance]])", [("parent", False), ("scope", True), ("inheritance", True)]),
        ("(...)", [("...", False)]),
    ],
)
def test_calls_are_taken_apart(call: str, expected: list[tuple[str, bool]]) -> None:
    assert parameters(call) == [Parameter(*one) for one in expected]


def test_what_may_be_left_out_at_the_beginning_has_a_form_without_it() -> None:
    assert "---@overload fun(settings: table): string\nfunction Agent.register(name, settings) end" in definitions()

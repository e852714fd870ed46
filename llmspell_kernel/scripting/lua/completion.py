"""What could stand at the cursor: values that there are, what the reference says, files, modules and keys of options.

Runs no script's code: only tables are asked, and no metamethod. Positions count characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from llmspell_kernel.scripting.lua.chains import Chain, chain_before, chain_to, local_names
from llmspell_kernel.scripting.lua.file_names import FileNames
from llmspell_kernel.scripting.lua.reference import Entry, Section, manual, options_of, sections
from llmspell_kernel.scripting.lua.resolution import MOST_NAMES, Field, Live, entry_of, live_names, section_of
from llmspell_kernel.scripting.lua.tokens import (
    KEYWORDS,
    Token,
    is_long,
    still_open,
    string_start,
    string_value,
    tokens,
)

_TAKE_PATHS = frozenset({"io.open", "io.lines", "dofile", "loadfile", "os.remove", "os.rename", "Artifact.store_file"})
"""Functions whose first text is a path."""
_TAKE_TOOLS = frozenset({"execute", "get", "create", "exists", "is_available", "get_info", "get_schema"})
"""Functions of `Tool` whose first text is a tool's name."""


class Candidate(NamedTuple):
    """What could stand there; `type` is what frontends show beside it, `signature` a function's parameters."""

    text: str
    type: str
    signature: str = ""


class Completions(NamedTuple):
    """Candidates for the characters from `start` to `end`, a name's rest behind the cursor among them."""

    candidates: Sequence[Candidate]
    start: int
    end: int


def completions(
    code: str, cursor: int, live: Live, files: FileNames, modules: Callable[[str], Iterable[str]]
) -> Completions:
    """What could stand at the cursor. `modules` gives the names that `require` knows or finds, from a text on."""
    found = tokens(code)
    here = next((token for token in found if token.start < cursor <= token.end), None)
    before = [token for token in found if token.end <= cursor and token is not here and token.kind != "comment"]
    if here is None or here.kind == "operator":
        plain = [*before, here] if here is not None and here.end == cursor else before
        return Completions(_names("", plain, live), cursor, cursor)
    if here.kind == "name":
        return Completions(_names(code[here.start : cursor], before, live), here.start, here.end)
    if here.kind == "string" and string_start(here) <= cursor and (cursor < here.end or not here.closed):
        return _in_text(code, cursor, here, before, live, files, modules)
    return Completions((), cursor, cursor)


# Names


def _names(prefix: str, before: Sequence[Token], live: Live) -> list[Candidate]:
    last = before[-1] if before else None
    if last is not None and last.text in ("local", "goto") and last.kind == "name":
        return []
    if last is not None and last.kind == "operator" and last.text in (".", ":"):
        return _fields(prefix, before, live)
    options = _options(prefix, before, live)
    taken = {one.text for one in options}
    names = {field.name: _of_global(field) for field in live.fields((), prefix)}
    for name in local_names(before):
        if name.startswith(prefix):
            names[name] = Candidate(name, "instance")
    for word in KEYWORDS:
        if word.startswith(prefix):
            names[word] = Candidate(word, "keyword")
    return [*options, *(names[name] for name in sorted(names) if name not in taken)]


def _of_global(field: Field) -> Candidate:
    section = sections().get(field.name)
    if section is None or section.kind == "object":
        return _of_field(field, of_lua=field.name)
    if section.call is not None:
        return Candidate(field.name, "function", section.call)
    return Candidate(field.name, "module" if section.fields else "instance")


def _of_field(field: Field, section: Section | None = None, of_lua: str = "") -> Candidate:
    """`of_lua` is its whole name, which may be one of Lua's own functions."""
    entry = None if section is None else section.fields.get(field.name)
    if entry is not None and field.parameters is None:
        return _of_entry(entry)
    if field.type != "function":
        return Candidate(field.name, "instance")
    if field.parameters is not None:
        return Candidate(field.name, "function", f"({field.parameters})")
    known = manual().get(of_lua)
    return Candidate(field.name, "function", "" if known is None else known.call or "")


def _of_entry(entry: Entry) -> Candidate:
    return Candidate(entry.name, "instance" if entry.call is None else "function", entry.call or "")


def _fields(prefix: str, before: Sequence[Token], live: Live) -> list[Candidate]:
    """The fields behind a `.`, or the functions behind a `:`."""
    methods_only = before[-1].text == ":"
    chain = chain_before(before, len(before) - 1)
    if chain is None:
        return []
    if chain.is_text and not chain.steps:
        found = live.text_methods(prefix) if methods_only else ()
        return [_of_field(field, of_lua=f"string.{field.name}") for field in found]
    section = section_of(chain, before, live)
    names = live_names(chain, live)
    if names is not None and (section is None or live.look(names) is not None):
        fields = live.fields(names, prefix)
        seen = live.look(names)
        of = "string" if seen is not None and seen.type == "string" else ".".join(map(str, names))
        there = [
            _of_field(one, section, f"{of}.{one.name}") for one in fields if not methods_only or one.type == "function"
        ]
        if there or section is None:
            return there
    if section is None:
        return []
    return [
        _of_entry(section.fields[name])
        for name in sorted(section.fields)
        if name.startswith(prefix) and (not methods_only or section.fields[name].call is not None)
    ]


# Keys of tables that are given as options


def _options(prefix: str, before: Sequence[Token], live: Live) -> list[Candidate]:
    """The keys that a table may have which is being written as a function's argument, without those it has."""
    opened = still_open(before)
    if not opened or opened[-1].token.text != "{" or before[-1].text not in ("{", ",", ";"):
        return []
    at = opened[-1].place
    callee = _called_with(before, at, opened[-2].place if len(opened) > 1 else None)
    if callee is None:
        return []
    given = _given(before[at + 1 :])
    known = _keys_of(callee, before, live)
    return [Candidate(key, "param") for key in known if key.startswith(prefix) and key not in given]


def _called_with(before: Sequence[Token], at: int, around: int | None) -> int | None:
    """The last token of the function that the table or text at this place is an argument of: `f{`, `f(`, `f(x, {`."""
    if at and before[at - 1].is_value_end:
        return at - 1
    if around is None or before[around].text != "(" or not around or not before[around - 1].is_value_end:
        return None
    return around - 1 if before[at - 1].text in ("(", ",") else None


def _given(inside: Sequence[Token]) -> set[str]:
    given: set[str] = set()
    depth = 0
    for token, following in pairwise(inside):
        if token.kind == "operator" and token.text in "({[":
            depth += 1
        elif token.kind == "operator" and token.text in ")}]":
            depth -= 1
        elif depth == 0 and token.is_identifier and following.text == "=":
            given.add(token.text)
    return given


def _keys_of(end: int, before: Sequence[Token], live: Live) -> Sequence[str]:
    chain = chain_to(before, end)
    if chain is None:
        return ()
    entry = entry_of(chain, before[: chain.begins], live)
    if entry is None:
        return ()
    section, function = entry
    tool = _tool(section, function, chain, before, end)
    if tool is not None:
        return _parameters_of(tool)
    return options_of(section.name, function.name)


def _tool(section: Section, function: Entry, chain: Chain, before: Sequence[Token], end: int) -> str | None:
    """The tool that a table is to be given to: `Tool.execute("name", {`, `Tool.name:execute{`."""
    if section.name in ("Tool", "Tools") and function.name == "execute":
        name = before[end + 2] if end + 2 < len(before) else None
        return string_value(name) if name is not None and name.kind == "string" else None
    if section.name == "tool" and function.name == "execute" and chain.steps[0].key in ("Tool", "Tools"):
        return str(chain.steps[1].key) if len(chain.steps) == 3 and not chain.steps[1].called else None
    return None


def _parameters_of(name: str) -> Sequence[str]:
    # Only for who writes a tool's parameters.
    from llmspell_protocol.tools.builtin import builtin_tools

    tool = builtin_tools().get(name) or builtin_tools().get(name.replace("_", "-"))
    return () if tool is None else tuple(tool.parameters.get("properties", ()))


def _tool_names() -> Iterable[str]:
    # As `_parameters_of`.
    from llmspell_protocol.tools.builtin import builtin_tools

    return builtin_tools()


# In texts


def _in_text(
    code: str,
    cursor: int,
    here: Token,
    before: Sequence[Token],
    live: Live,
    files: FileNames,
    modules: Callable[[str], Iterable[str]],
) -> Completions:
    start = string_start(here)
    end = here.end - (len(here.text) - len(here.text.rstrip("]")) if is_long(here) else 1) if here.closed else here.end
    text = code[start:cursor]
    nothing = Completions((), cursor, cursor)
    if "\\" in text or "\n" in text:
        return nothing
    if before and before[-1].text == "[":
        chain = chain_to(before, len(before) - 2)
        names = None if chain is None else live_names(chain, live)
        keys = () if names is None else live.fields(names, text, any_text=True)
        return Completions([_of_field(field) for field in keys], start, end)
    callee = _function_before(before)
    if callee == "require":
        return Completions([Candidate(name, "module") for name in modules(text)], start, end)
    if (
        callee is not None
        and callee.rpartition(".")[0] in ("Tool", "Tools")
        and callee.rpartition(".")[2] in _TAKE_TOOLS
    ):
        fitting = sorted(name for name in _tool_names() if name.startswith(text))
        return Completions([Candidate(name, "instance") for name in fitting], start, end)
    if "/" in text or callee in _TAKE_PATHS:
        begins = start + text.rfind("/") + 1
        rest = code.find("/", cursor, end)
        return Completions(
            [Candidate(path, "path") for path in files.paths(text)], begins, end if rest < 0 else rest + 1
        )
    return nothing


def _function_before(before: Sequence[Token]) -> str | None:
    """`io.open` and its like, where a text here is its first argument."""
    at = len(before) - 1
    if at >= 0 and before[at].text == "(":
        at -= 1
    chain = chain_to(before, at) if at >= 0 and before[at].is_value_end else None
    names = None if chain is None or chain.is_text else chain.names
    return None if names is None else ".".join(str(name) for name in names)


def bounded(found: Completions) -> Completions:
    """At most `MOST_NAMES` of them: more can't be chosen from, and is too much for a message."""
    return found._replace(candidates=found.candidates[:MOST_NAMES])

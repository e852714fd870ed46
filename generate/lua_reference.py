"""Writes `docs/reference/lua.md`: what scripts can call, from the table that Tab and Shift-Tab show too.

python -m generate.lua_reference           writes what has changed
python -m generate.lua_reference --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from llmspell_kernel.scripting.lua.reference import Entry, Section, sections

INTRODUCTION = """\
# Lua reference

Written from the code by `make schemas`. Scripts, notebooks, the repl and `llmspell exec` have all of this; [the
guide](../guide/scripts.md) tells how scripts are run, and [the tutorial](../tutorial/script.md) writes one.

```lua
local agent = Agent.create { model = "smollm2:135m", temperature = 0, max_tokens = 20 }
print(agent:execute("Say hello.").text)
print(JSON.stringify { answer = 42, nothing = JSON.null })
```

A method is called by `.` or by `:`. What fails raises a text, which `pcall` catches. In the tables `[name]` may be left
out, and `→` says what a call gives: a type, or one of the objects below.
"""

KINDS = {"global": "Globals", "object": "Objects that calls give", "library": "Lua's own libraries"}


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {"lua.md": "\n".join([INTRODUCTION, *_body()]) + "\n"}


def _body() -> Iterator[str]:
    every = sections()
    assert {one.kind for one in every.values()} <= KINDS.keys()
    for kind, title in KINDS.items():
        yield f"## {title}\n"
        for one in every.values():
            if one.kind == kind:
                yield from _section(one, every)


def _section(one: Section, every: Mapping[str, Section]) -> Iterator[str]:
    yield f"### {_title(one)}\n"
    if one.call is not None:
        yield f"`{one.name}{one.call}`{_gives(one.gives, every)}\n"
    yield f"{one.doc} *Since {one.since}.*\n"
    if one.fields:
        rows = ((_named(entry, every), _cell(entry.doc) + _since(entry, one)) for entry in one.fields.values())
        yield from table(("", ""), rows)
        yield ""


def _since(entry: Entry, section: Section) -> str:
    """Since when, where a function is younger than what it belongs to."""
    return "" if entry.since == section.since else f" *Since {entry.since}.*"


def _named(entry: Entry, every: Mapping[str, Section]) -> str:
    return f"`{entry.name}{entry.call or ''}`{_gives(entry.gives, every)}"


def _gives(what: str, every: Mapping[str, Section]) -> str:
    if what == "nil":
        return ""
    return f" → [{what}](#{_title(every[what]).lower().replace(' ', '-')})" if what in every else f" → {what}"


def _title(one: Section) -> str:
    """The heading: `Agent` is a global, and `agent` what it gives."""
    return f"The object {one.name}" if one.kind == "object" else one.name


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))

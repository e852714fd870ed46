"""The schema as tables in Markdown: for `config schema --format markdown`, and for the reference that is generated."""

import json
from collections.abc import Iterator
from typing import Any

from llmspell_profiles.loading.aliases import ALIASES
from llmspell_profiles.schema.schema_keys import Key, find, rule_name
from llmspell_profiles.showing.reference import (
    ANY_PROVIDER,
    Section,
    allowed,
    default,
    depends_on_machine,
    section_path,
    sections,
    type_word,
)

_PREFACE = f"""\
# Configuration reference

Generated from the schema by `make schemas`; `llmspell config schema --format markdown` prints these tables.
[configuration.schema.json](configuration.schema.json) is the JSON Schema; [the guide](../guide/configuration.md) tells
how a configuration is chosen and checked.

Every key can be set in a file and by a variable: its path in upper case, levels joined by two underscores, with
`LLMSPELL_` before it, such as `{rule_name(("providers", "candle", "device"))}`. *bytes* are an integer or a
string such as `"64 MiB"` or `"10MB"`, a *duration* is an integer (seconds) or a string such as `"300ms"` or `"1h30m"`.
Keys that this version accepts and does not use are not here: `llmspell config schema --format markdown --all` has them.
"""


def reference() -> str:
    """The whole reference page."""
    return "\n".join([_PREFACE, tables(), *_aliases()]) + "\n"


def tables(section: str = "", *, idle: bool = False) -> str:
    """The tables at and below a dotted path, each with a heading; with `idle`, keys that nothing reads yet too.

    Raises:
        NotFound: there is no such section.
    """
    found = sections(section_path(section), idle=idle)
    return "\n\n".join("\n".join(_table(each)) for each in found if each.keys or each.open)


def _table(section: Section) -> Iterator[str]:
    yield f"## [{section.name}]" if section.path else "## Top level"
    yield ""
    if section.path:
        yield f"{section.description[:1].upper()}{section.description[1:]}.{_others(section)}"
        yield ""
    if not section.keys:
        return
    yield "| key | type | default | allowed | meaning |"
    yield "|---|---|---|---|---|"
    for key in section.keys:
        name = f"`{key.path[-1]}`"
        meaning = (key.field.description or "") + (" *(no effect)*" if key.idle else "")
        cells = (name, type_word(key), _default(key), allowed(key), meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _others(section: Section) -> str:
    if not section.open:
        return ""
    if section.path in (("providers",), ("mcp", "servers")):
        return ""
    if section.path[0] != "providers":
        return " Other tables in it are handed to the plug-in of that name."
    if section.path[1] == ANY_PROVIDER:
        return f" Options of the server's own go into `[providers.{ANY_PROVIDER}.options]`."
    return f" Beside the keys of `[providers.{ANY_PROVIDER}]`, or with another default:"


def _default(key: Key) -> str:
    if depends_on_machine(key):
        return "the temporary directory"
    value: Any = default(key)
    if value is None or value == "":
        return "—"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _aliases() -> Iterator[str]:
    yield "\n## Short variables\n"
    yield "The long name wins over a short one; if the two differ, there is a warning.\n"
    yield "| variable | key |"
    yield "|---|---|"
    for variable, path in sorted(ALIASES.items()):
        key = find(path, {})
        if isinstance(key, Key) and not key.idle:
            yield f"| `{variable}` | `{'.'.join(path)}` |"
    suffixes = "`_MODEL`, `_TIMEOUT`, `_MAX_RETRIES`"
    yield f"| `LLMSPELL_PROVIDER_<P>_API_KEY`, `_BASE_URL`, {suffixes} | keys of `providers.<p>` |"
    yield f"| `LLMSPELL_<P>_API_KEY`, `_ENDPOINT`, {suffixes}, `_PROVIDER_TYPE` | the same |"

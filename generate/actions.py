"""Writes the tables of our own requests into `protocol/README.md` and `docs/reference/cli-json.md`, from their records.

python -m generate.actions           writes what has changed
python -m generate.actions --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from generate.classes import Key, attributes, classes_in, keys, short
from generate.files import ROOT, GeneratedFiles
from generate.markdown import filled, marked, table
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.areas.action import Action
from llmspell_protocol.rights import ALL_CAPABILITIES, SCRIPT_CAPABILITIES

RIGHTS = ("infer", "load", "pull", "execute", "admin", None)


def tables_of_protocol() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    assert set(RIGHTS) == {*ALL_CAPABILITIES, None}
    parts = {f"actions of {area}": _actions(actions(area)) for area in AREAS}
    parts |= {f"values of {area}": _values(actions(area)) for area in AREAS}
    page = (ROOT / "protocol" / "README.md").read_text(encoding="utf-8")
    return {"README.md": filled(page, {**parts, "rights": _rights()})}


def tables_of_documents() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    page = (ROOT / "docs" / "reference" / "cli-json.md").read_text(encoding="utf-8")
    return {"cli-json.md": filled(page, {name: _keys(_document(name)) for name in marked(page)})}


def _document(command: str) -> Iterator[Key]:
    """The keys of a document that is a reply, with `status` where nothing else is said; named by area and action."""
    area, _, action = command.replace("-", "_").removesuffix(" done").partition(" ")
    reply = actions(area)[action].reply if area in AREAS else actions("model")["chat"].reply
    if command == "model status":
        yield from (key._replace(path=key.path.removeprefix("backends.")) for key in keys(reply))
        return
    if command.endswith(" done"):
        yield Key("event", "string", "`done`")
    elif command != "model info":
        yield Key("status", "string", "`ok`")
    yield from keys(reply)


def _actions(records: Mapping[str, Action]) -> Iterator[str]:
    yield from table(
        ("action", "right", "fields", "before the reply", "reply (beside `status`, `seq`)"),
        (
            (
                f"`{name}`",
                record.right or "none",
                _fields(record.request, sent=False),
                ", ".join(f"`{one.__name__}`" for one in _streamed(record)),
                _fields(record.reply) if _is_own(record.reply) else f"`{record.reply.__name__}`",
            )
            for name, record in records.items()
        ),
    )


def _values(records: Mapping[str, Action]) -> Iterator[str]:
    """What the other table names; a value that is in requests as well as in replies is shown as requests have it."""
    asked: dict[type, None] = {}
    sent: dict[type, None] = {}
    for record in records.values():
        _collect(asked, *_held(record.request), *_streamed(record))
        _collect(sent, *_held(record.reply), *(() if _is_own(record.reply) else (record.reply,)))
    yield from table(
        ("value", "fields", ""),
        (
            (f"`{kind.__name__}`", _fields(kind, sent=kind not in asked), (kind.__doc__ or "").partition("\n")[0])
            for kind in sorted({**asked, **sent}, key=lambda kind: kind.__name__)
        ),
    )


def _collect(found: dict[type, None], *kinds: type) -> None:
    """Adds classes and what they hold."""
    for kind in kinds:
        if kind not in found:
            found[kind] = None
            _collect(found, *_held(kind))


def _held(kind: type) -> list[type]:
    return [inner for attribute in attributes(kind) for inner in classes_in(attribute.type)]


def _is_own(reply: type) -> bool:
    """Whether a reply is shown by its fields, not by the name of a value that others have too."""
    return reply.__name__.endswith("Reply")


def _streamed(record: Action) -> list[type]:
    return [*record.progress, *([record.delta] if record.delta is not None else [])]


def _fields(kind: type, *, sent: bool = True) -> str:
    """The fields in one line; what a kernel has `sent` lacks none, in a request those with `?` may be left out."""
    shown = []
    for attribute in attributes(kind):
        of = short(attribute.type)
        shown.append(f"{attribute.name}{'?' if attribute.is_optional and not sent else ''}{f': {of}' if of else ''}")
    return f"`{', '.join(shown)}`" if shown else ""


def _rights() -> Iterator[str]:
    rows = []
    for right in RIGHTS:
        needing = {area: [name for name, one in actions(area).items() if one.right == right] for area in AREAS}
        named = "; ".join(f"{area} {', '.join(names)}" for area, names in needing.items() if names)
        scripts = "yes" if right is None or right in SCRIPT_CAPABILITIES else "no"
        rows.append((f"`{right}`" if right else "none", named, scripts))
    yield from table(("right", "requests of ours", "scripts"), rows)


def _keys(found: Iterable[Key]) -> Iterator[str]:
    yield from table(("key", "type", ""), ((f"`{key.path}`", key.types, key.note) for key in found))


FILES = (
    GeneratedFiles(ROOT / "protocol", tables_of_protocol),
    GeneratedFiles(ROOT / "docs" / "reference", tables_of_documents),
)

if __name__ == "__main__":
    raise SystemExit(max(files.main(sys.argv[1:]) for files in FILES))

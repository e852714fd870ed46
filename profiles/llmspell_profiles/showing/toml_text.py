"""Nested settings as TOML text. Knows plain data, not the schema: it works on what a kernel elsewhere has sent."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomlkit.container import Container
    from tomlkit.items import Item, Table


def toml_text(config: Any, path: Sequence[str], heading: str, remarks: Mapping[str, str]) -> str:
    """A TOML document: the tables (or the one value) at `path`, below a comment.

    What is unset (None) has a comment in its place. `remarks` go behind the values, by dotted key.
    """
    # Only needed here, and it takes 30 ms to import.
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(heading))
    document.add(tomlkit.nl())
    for name in reversed(path):
        config = {name: config}
    _fill(document, config, (), remarks)
    return tomlkit.dumps(document)


def _fill(
    container: "Container | Table", tables: Mapping[str, Any], path: tuple[str, ...], remarks: Mapping[str, str]
) -> None:
    import tomlkit

    for name, value in tables.items():
        here = (*path, name)
        if _is_table(value):
            continue
        if value is None:
            container.add(tomlkit.comment(f"{name} is not set"))
        else:
            container.add(name, _item(value, remarks.get(".".join(here))))
    for name, value in tables.items():
        if _is_table(value):
            # A table that only holds tables needs no line of its own.
            inner = tomlkit.table(is_super_table=all(_is_table(each) for each in value.values()))
            _fill(inner, value, (*path, name), remarks)
            container.add(name, inner)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _item(value: Any, remark: str | None) -> "Item":
    import tomlkit

    item = tomlkit.inline_table() if value == {} else tomlkit.item(value)
    return item.comment(remark) if remark else item

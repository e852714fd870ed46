"""JSON Schema (draft 7) of configuration files, for editors such as those that use taplo, and for other programs.

Made from the settings' fields, so that no key can be missing. Words are listed in their canonical spelling and their
aliases, though the loader takes any case; rules between keys are the loader's alone.
"""

from pathlib import Path
from typing import Any, get_args, get_origin

from llmspell_profiles.loading.profiles import PROFILE_NAMES, SHORT_NAMES
from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.providers import (
    PROVIDER_CLASSES,
    PROVIDER_TYPES,
    CloudSettings,
    ProviderSettings,
    ProvidersSettings,
)
from llmspell_profiles.schema.schema_keys import Key, find, known_providers, table_in
from llmspell_profiles.schema.settings import RuntimeSettings, Settings
from llmspell_profiles.schema.table import Table
from llmspell_profiles.showing.reference import bounds, default, depends_on_machine, form, kinds, section_path, words

DIALECT = "http://json-schema.org/draft-07/schema#"
TITLE = "llmspell configuration"

Schema = dict[str, Any]

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", tuple: "array"}
_SIZE = r"^\s*\d+(\.\d+)?\s*[KkMmGg][Ii]?[Bb]\s*$"
_DURATION = r"^(-1|\d+(\.\d+)?|(\d+(ms|s|m|h))+)$"
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}


def json_schema(section: str = "") -> Schema:
    """The schema of a file, or of the table or key that a dotted path names.

    Raises:
        NotFound: there is none.
    """
    path = section_path(section)
    found = find(path, known_providers())
    inner = _key(found) if isinstance(found, Key) else _table(found or Settings, path)
    title = f"{TITLE}: {section}" if section else TITLE
    schema = {"$schema": DIALECT, "title": title, **inner}
    return schema | {"definitions": {"cloud": _provider("openai")}} if path in ((), ("providers",)) else schema


def _table(table: type[Table], path: KeyPath) -> Schema:
    properties: Schema = {}
    for name, field in table.FIELDS.items():
        inner = table_in(field)
        if inner is None:
            properties[name] = _key(Key((*path, name), field, table))
        else:
            properties[name] = {"description": field.description, **_table(inner, (*path, name))}
    others: Any = {"type": "object"} if table.FREE_TABLES else table.OTHERS is not None
    if other := table.other_table():
        others = _table(other, (*path, "NAME"))
    if table is ProvidersSettings:
        for kind in PROVIDER_TYPES:
            # All of the cloud are alike; said once, it is a third as long.
            properties[kind] = _provider(kind) if kind in PROVIDER_CLASSES else {"$ref": "#/definitions/cloud"}
        others = _provider(None)
    if table is RuntimeSettings:
        hooks = table_in(Settings.FIELDS["hooks"])
        assert hooks is not None
        properties["hooks"] = {"description": "same as [hooks]", **_table(hooks, ("hooks",))}
    return {"type": "object", "properties": properties, "additionalProperties": others}


def _provider(kind: str | None) -> Schema:
    """The table of a provider that is named like its type, or of any other, which has to name it."""
    classes: tuple[type[ProviderSettings], ...] = (CloudSettings, *PROVIDER_CLASSES.values())
    if kind is not None:
        classes = (PROVIDER_CLASSES.get(kind, CloudSettings),)
    properties: Schema = {}
    for each in classes:
        for name, value in _table(each, ("providers", kind or "NAME"))["properties"].items():
            properties.setdefault(name, value)
    properties["provider_type"] = {**properties["provider_type"], "enum": list(PROVIDER_TYPES)}
    properties["model"] = {"type": "string", "description": "same as default_model"}
    properties["options"] = {"type": "object", "description": "further place for the keys of this table"}
    schema = {"type": "object", "properties": properties, "additionalProperties": True}
    return schema if kind is not None else {**schema, "required": ["provider_type"]}


def _key(key: Key) -> Schema:
    field = key.field
    schema: Schema = {"description": (field.description or "") + (" (no effect)" if key.idle else "")}
    if key.path == ("extends",):
        return {**schema, "enum": [*PROFILE_NAMES, *SHORT_NAMES]}
    listed = [*words(field), *form(field).also]
    typed = _typed(key)
    if listed and typed:
        schema["anyOf"] = [{"enum": listed}, typed]
    else:
        schema |= {"enum": listed} if listed else typed
    value = default(key)
    if value is not None and not depends_on_machine(key):
        schema["default"] = value
    return schema


def _typed(key: Key) -> Schema:
    """What is allowed apart from single words; empty if that is nothing."""
    named = form(key.field).kind
    if named == "duration":
        return {"type": ["integer", "string"], "minimum": -1, "pattern": _DURATION}
    schema: Schema = {}
    said = []
    for kind in kinds(key.field):
        origin = get_origin(kind) or kind
        if origin is dict:
            said.append("object")
            schema["additionalProperties"] = _map_value(kind)
        elif origin in _JSON_TYPES:
            said.append(_JSON_TYPES[origin])
        if origin is tuple:
            schema["items"] = {"type": "string"}
    if not said:
        return {}
    schema |= {_LIMITS[name]: limit for name, limit in bounds(key.field).items()}
    if named == "size":
        schema["pattern"] = _SIZE
    if named == "url":
        schema["pattern"] = "^[Hh][Tt][Tt][Pp][Ss]?://"
    if named in ("size", "list"):
        said.append("string")
    return {"type": said if len(said) > 1 else said[0], **schema}


def _map_value(kind: Any) -> Schema:
    """What a map's values are: words, or any string."""
    value = get_args(kind)[1]
    while hasattr(value, "__metadata__"):
        value = value.__origin__
    if hasattr(value, "MAP_VALUE"):
        return dict(value.MAP_VALUE)
    return {"type": "string"} if value is str else {"enum": list(get_args(value))}

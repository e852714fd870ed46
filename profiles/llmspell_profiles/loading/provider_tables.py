"""A file's provider tables in canonical form, without the keys that there are not.."""

from typing import Any

from llmspell_profiles.loading.origins import in_file
from llmspell_profiles.loading.toml_source import TomlSource
from llmspell_profiles.problems import Remark, SettingError
from llmspell_profiles.schema.schema_keys import provider_class


def plain_providers(toml: TomlSource, remarks: list[Remark], mistakes: list[SettingError]) -> dict[str, Any]:
    """The file's data with provider tables in canonical form: no `options` table, `default_model` for `model`."""
    tables = toml.data.get("providers")
    if not isinstance(tables, dict):
        return toml.data
    plain = {}
    for name, table in tables.items():
        if isinstance(table, dict):
            table = _without_unknown(name, table, toml, mistakes)
        if isinstance(table, dict) and isinstance(options := table.get("options"), dict):
            direct = {key: value for key, value in table.items() if key != "options"}
            for key in sorted(options.keys() & direct.keys()):
                if options[key] != direct[key]:
                    place, details = in_file(toml, ("providers", name, "options", key))
                    text = f"ignored, providers.{name}.{key} has another value"
                    remarks.append(Remark(place, text, details))
            table = options | direct
        if isinstance(table, dict) and "model" in table:
            model = table["model"]
            table = {"default_model": model} | {key: value for key, value in table.items() if key != "model"}
        plain[name] = table
    return toml.data | {"providers": plain}


def _without_unknown(
    name: str, table: dict[str, Any], toml: TomlSource, mistakes: list[SettingError]
) -> dict[str, Any]:
    """A provider's table without keys that neither it nor its backend has; what is below `options` is not looked at."""
    if name == "providers":
        return table  # the old nesting, which is refused later
    kind = table.get("provider_type", name)
    listed = provider_class(kind.lower() if isinstance(kind, str) else None).FIELDS
    unlisted = [key for key in table if key not in listed and key not in ("options", "model")]
    if not unlisted:
        return table
    # Few files have such keys, and start-up counts.
    from llmspell_profiles.schema.backend_options import is_option, meant_by

    for key in unlisted:
        if is_option(key, kind):
            continue
        place, details = in_file(toml, ("providers", name, key))
        path = ("providers", name, key)
        meant = meant_by(key, kind, listed)
        hint = (
            f"did you mean providers.{name}.{meant}?"
            if meant
            else f"an option of the server's own belongs into [providers.{name}.options]"
        )
        mistakes.append(SettingError(f"{place}: unknown key", hint=hint, details=details, place=place, path=path))
        value = table[key]
        table = {each: table[each] for each in table if each != key}
        if meant == "provider_type":
            table.setdefault(meant, value)  # that it is missing is no second mistake
    return table

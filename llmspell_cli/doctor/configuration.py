"""Checks of the configuration: whether it can be used, files in places that are not read, and where keys come from."""

from __future__ import annotations

from pathlib import Path

from llmspell_cli.doctor.finding import Finding, fail, ok, warn
from llmspell_cli.doctor.subject import Subject
from llmspell_cli.key_sources import KeySource, key_sources, key_store
from llmspell_cli.terminal.text import home_path
from llmspell_profiles.credentials.key_store import canonical
from llmspell_profiles.loading.home import known_user_home
from llmspell_protocol.vendors import KEY_VARIABLES

_VALIDATE = "llmspell config validate"


def config(subject: Subject) -> Finding:
    """Whether the settings in force are valid."""
    left = [str(place) for place in left_behind(subject) if place.is_file()]
    if subject.problem is not None:
        problem = subject.problem
        message = problem.message
        if isinstance(file := problem.details.get("file"), str) and Path(file).is_absolute():
            message = message.replace(file, home_path(file))
        return fail(message, problem.hint or _VALIDATE, **problem.details, left_behind=left)
    loaded = subject.loaded
    assert loaded is not None, "without settings there is a problem"
    details = {
        "file": str(loaded.source) if loaded.source is not None else None,
        "profile": loaded.profile,
        "warnings": list(loaded.warnings),
        "left_behind": left,
    }
    text = _origin(subject)
    if left:
        hint = f"mv {home_path(left[0])} {home_path(str(subject.home / 'config.toml'))}"
        return warn(f"{text}; {home_path(left[0])} is not read", hint, **details)
    if loaded.warnings:
        count = len(loaded.warnings)
        return warn(
            f"{text} with {count} warning{'' if count == 1 else 's'}: {loaded.warnings[0]}", _VALIDATE, **details
        )
    return ok(text, **details)


def keys(subject: Subject) -> Finding:
    """Which providers have a key, and from where; never a key."""
    store = key_store(subject.env)
    found = key_sources(subject.loaded, subject.env, store)
    active = [one for one in found if one.active]
    text = "; ".join(f"{one.provider}: {one.label}" for one in active) or "none"
    stores_in = store.keyring.description if store.keyring.usable else home_path(str(store.file.path))
    details = {"sources": [_source(one) for one in found], "stores_in": stores_in}
    lacking = _lacking(subject, {canonical(one.provider) for one in found})
    if lacking:
        hint = f"llmspell keys add {lacking[0]}"
        return warn(f"{text}; no credentials for {', '.join(lacking)}", hint, **details, lacking=lacking)
    return ok(text, **details, lacking=[])


def left_behind(subject: Subject) -> list[Path]:
    """Where the original looked for a configuration and llmspell does not."""
    user = known_user_home(subject.env)
    below = [user / ".llmspell.toml", user / ".config" / "llmspell.toml"] if user is not None else []
    return [subject.cwd / ".config" / "llmspell.toml", *below]


def _origin(subject: Subject) -> str:
    loaded = subject.loaded
    assert loaded is not None, "asked for usable settings only"
    if loaded.source is None:
        return f"profile {loaded.profile}, valid" if loaded.profile else "no file, using defaults"
    path = loaded.source if loaded.source.is_absolute() else subject.cwd / loaded.source
    inside = path.is_relative_to(subject.cwd)
    shown = f"./{path.relative_to(subject.cwd)}" if inside else home_path(str(path))
    return f"{shown} (extends {loaded.profile}), valid" if loaded.profile else f"{shown}, valid"


def _lacking(subject: Subject, having: set[str]) -> list[str]:
    """Configured cloud providers that have no key; a compatible server of one's own may need none."""
    # Only settings that are loaded have tables, and then this costs nothing.
    from llmspell_profiles.schema.vendors import is_own_server

    return [
        name
        for name, table in subject.tables.items()
        if table.provider_type in KEY_VARIABLES and canonical(name) not in having and not is_own_server(table)
    ]


def _source(one: KeySource) -> dict[str, object]:
    return {"provider": one.provider, "source": one.source, "variable": one.variable, "active": one.active}

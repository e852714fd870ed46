"""`llmspell config list-profiles`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_profiles.loading.profiles import PROFILES, SHOWN_PROFILES, profile_path

if TYPE_CHECKING:
    from llmspell_profiles.loading.profiles import Profile

_CATEGORIES = ("Core", "Common Workflows", "Local LLM", "RAG")


@click.command(
    "list-profiles",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config list-profiles", "names"),
        ("llmspell config list-profiles --detailed", "what is in them"),
    ),
)
@click.option("-d", "--detailed", is_flag=True, help="Use cases, features and the keys that are set.")
@click.option("--all", "everything", is_flag=True, help="Those that have no effect yet too.")
def list_profiles(options: Options, detailed: bool, everything: bool) -> None:
    """Show the builtin profiles."""
    output = Output(options)
    profiles = PROFILES if everything else SHOWN_PROFILES
    if output.json:
        output.document({"profiles": [_entry(profile) for profile in profiles], "count": len(profiles)})
        return
    output.lines("Available Builtin Profiles:\n")
    for category in _CATEGORIES:
        inside = [profile for profile in profiles if profile.category == category]
        if inside:
            output.shown_line(output.emphasis(f"{category}:"))
        for profile in inside:
            _show(output, profile, detailed)
    output.lines("\nUsage: llmspell -p PROFILE_NAME run script.lua")


def _show(output: Output, profile: Profile, detailed: bool) -> None:
    alias = f" ({profile.alias})" if profile.alias else ""
    effect = f" (no effect yet: this version has no {profile.without})" if profile.without else ""
    output.line(f"  {profile.name}{alias} - {profile.description}{effect}")
    if not detailed:
        return
    output.line("    Use cases:")
    for use in profile.use_cases:
        output.line(f"      - {use}")
    output.line("    Features:")
    for feature in profile.features:
        output.line(f"      - {feature}")
    output.line("    Sets:")
    # Plain TOML: the schema would take 100 ms to load.
    for key, value in _leaves(tomllib.loads(profile_path(profile.name).read_text(encoding="utf-8"))):
        output.line(f"      {key} = {value}")
    output.line()


def _entry(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "alias": profile.alias,
        "category": profile.category,
        "description": profile.description,
        "use_cases": list(profile.use_cases),
        "features": list(profile.features),
        "has_effect": profile.without is None,
    }


def _leaves(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted keys and their values as TOML."""
    found = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", _toml(value)))
    return found


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)

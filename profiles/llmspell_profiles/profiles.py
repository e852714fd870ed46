"""The builtin profiles: complete configurations that come with the package, one TOML file each."""

from pathlib import Path

PROFILE_NAMES = ("minimal", "ollama", "candle")
"""Canonical names in the order in which they are listed."""

SHORT_NAMES: dict[str, str] = {}
"""Short names and the canonical names that they stand for."""

ZERO_CONFIGURATION = "zero-configuration"
"""What is in force when nothing is configured; not a profile that can be asked for."""


def canonical_name(name: str) -> str | None:
    """The canonical name for a long or short profile name; None for an unknown one."""
    name = SHORT_NAMES.get(name, name)
    return name if name in PROFILE_NAMES else None


def not_found(name: str) -> str:
    """The text for an unknown profile name, two lines."""
    return f"Builtin profile '{name}' not found.\nAvailable: {', '.join(PROFILE_NAMES)}"


def profile_path(name: str) -> Path:
    """The file of a profile with a canonical name, or of the zero configuration."""
    return Path(__file__).parent / "builtin" / f"{name}.toml"

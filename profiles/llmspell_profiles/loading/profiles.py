"""The builtin profiles: complete configurations that come with the package, one TOML file each, and their uses."""

from pathlib import Path
from typing import NamedTuple


class Profile(NamedTuple):
    """What a list of profiles tells; the settings are in the file at `profile_path`. `alias` is a shorter name.

    `without` names what such a profile is for, where this version doesn't have it: the profile is accepted, changes
    little, and is not shown.
    """

    name: str
    category: str
    description: str
    use_cases: tuple[str, ...]
    features: tuple[str, ...]
    alias: str | None = None
    without: str | None = None


PROFILES = (
    Profile(
        "minimal",
        "Core",
        "Tools only, no LLM providers",
        ("Scripts that use no model", "Continuous integration", "Learning the scripting interface"),
        ("Basic Lua library", "File access for scripts", "No network access, no programs"),
    ),
    Profile(
        "development",
        "Core",
        "Verbose logging, debugging enabled",
        ("Writing scripts and agents", "Finding out what went wrong"),
        ("Whole Lua library", "Debug log", "OpenAI and Anthropic", "Default limits written out"),
    ),
    Profile(
        "ollama",
        "Local LLM",
        "Ollama local LLM backend",
        ("Models that Ollama serves", "Working without a cloud account"),
        ("Whole Lua library", "llama3.1:8b by default", "Ollama on this machine, started when it is down"),
    ),
    Profile(
        "candle",
        "Local LLM",
        "Candle local LLM backend",
        ("Models inside llmspell, without another program", "Working offline"),
        ("Whole Lua library", "smollm2:135m by default", "GPU where there is one", "Four requests at a time"),
    ),
    Profile(
        "rag-development",
        "RAG",
        "RAG development settings",
        ("Trying retrieval on a few documents", "Looking into an index"),
        ("Small index, 384 dimensions", "Passages of 256 tokens", "No caches", "Debug log and dumps of searches"),
        "rag-dev",
    ),
    Profile(
        "rag-production",
        "RAG",
        "RAG production settings",
        ("A service for several tenants", "Indexes that outlive the kernel"),
        ("A tenant in every call", "Passages of 512 tokens", "Caches", "Health, alerts, audit log, limits"),
        "rag-prod",
    ),
    Profile(
        "rag-performance",
        "RAG",
        "RAG performance settings",
        ("Large collections on a large machine", "Measuring retrieval"),
        ("Dense index, sixteen threads", "Passages of 1024 tokens", "Large caches", "Counters and slow operations"),
        "rag-perf",
    ),
    Profile(
        "providers",
        "Common Workflows",
        "OpenAI/Anthropic provider setup",
        ("First steps with cloud models", "Cheap experiments"),
        ("Whole Lua library", "OpenAI and Anthropic, small models", "Keys from the vendors' variables"),
    ),
    Profile(
        "state",
        "Common Workflows",
        "State persistence with memory backend",
        ("Scripts that share values", "Trying the State global"),
        ("Whole Lua library", "State in memory, 10 MB a key"),
    ),
    Profile(
        "sessions",
        "Common Workflows",
        "Sessions + state + hooks + events",
        ("Conversations that are kept", "Recording what scripts do"),
        ("Whole Lua library", "Sessions and state in memory", "Hooks", "Events"),
    ),
)
"""All of them, in the order in which they are named."""

PROFILE_NAMES = tuple(profile.name for profile in PROFILES)
"""Canonical names in that order."""

SHOWN_PROFILES = tuple(profile for profile in PROFILES if profile.without is None)
"""Those that do something in this version."""

SHORT_NAMES = {profile.alias: profile.name for profile in PROFILES if profile.alias}
"""Short names and the canonical names that they stand for."""

ZERO_CONFIGURATION = "zero-configuration"
"""What is in force when nothing is configured; not a profile that can be asked for."""


def canonical_name(name: str) -> str | None:
    """The canonical name for a long or short profile name; None for an unknown one."""
    name = SHORT_NAMES.get(name, name)
    return name if name in PROFILE_NAMES else None


def not_found(name: str) -> str:
    """The text for an unknown profile name, two lines."""
    return f"Builtin profile '{name}' not found.\nAvailable: {', '.join(each.name for each in SHOWN_PROFILES)}"


def hint_for(name: str) -> str:
    """What to do about an unknown profile name: the one that may be meant, else where all are."""
    # Only for a message, and start-up counts.
    from difflib import get_close_matches

    close = get_close_matches(name, (*PROFILE_NAMES, *SHORT_NAMES), 1)
    return f"did you mean '{close[0]}'?" if close else "llmspell config list-profiles"


def without(name: str | None) -> str | None:
    """What a profile is for that this version doesn't have; None for one that does what it says."""
    return next((profile.without for profile in PROFILES if profile.name == name), None)


def profile_path(name: str) -> Path:
    """The file of a profile with a canonical name, or of the zero configuration."""
    return Path(__file__).parents[1] / "builtin" / f"{name}.toml"

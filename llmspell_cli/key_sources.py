"""Where API keys come from on this machine: variables, the configuration file, and what `keys add` has stored.

Tells places, never a key or a part of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.terminal.text import home_path
from llmspell_profiles.credentials.key_store import KeyStore, canonical
from llmspell_profiles.credentials.secrets import key_variables
from llmspell_profiles.loading.home import llmspell_home
from llmspell_protocol.vendors import KEY_VARIABLES

if TYPE_CHECKING:
    from llmspell_profiles.loading.loader import LoadedSettings
    from llmspell_profiles.schema.providers import ProviderSettings

SERVICES = {
    "brave": "BRAVE_API_KEY",
    "huggingface": "HF_TOKEN",
    "serpapi": "SERPAPI_API_KEY",
    "serperdev": "SERPERDEV_API_KEY",
}
"""Services other than model providers that take a key, and the variable of each."""

KNOWN = frozenset((*KEY_VARIABLES, *SERVICES))
"""Names for which a key means something without any configuration."""


class KeySource(NamedTuple):
    """One place that has a key of a provider; `active` says that it is the one that counts."""

    provider: str
    source: Literal["environment", "config", "keyring", "file"]
    variable: str | None
    active: bool
    path: str | None = None

    @property
    def label(self) -> str:
        """The place in words: `system keyring`, `environment (OPENAI_API_KEY)`."""
        if self.source == "keyring":
            return "system keyring"
        if self.source == "environment":
            return f"environment ({self.variable})"
        return f"{'configuration' if self.source == 'config' else 'file'} ({home_path(self.path)})"


def key_store(env: Mapping[str, str]) -> KeyStore:
    """The keys that this user has stored."""
    return KeyStore(llmspell_home(env))


def load(options: Options) -> LoadedSettings:
    """The settings that the command line chooses.

    Raises:
        LlmspellError: they can't be used.
    """
    # Settings and their schema take 150 ms to load.
    from llmspell_profiles.loading.loader import load_settings

    config = Path(options.config) if options.config is not None else None
    return load_settings(profile=options.profile, config=config, env=os.environ, cwd=Path(working_directory()))


def key_sources(loaded: LoadedSettings | None, env: Mapping[str, str], store: KeyStore) -> list[KeySource]:
    """Every place that has a key, the strongest of each provider first; without settings only those that need none.

    Raises:
        ConfigError: a store is there and can't be read.
    """
    tables: Mapping[str, ProviderSettings] = loaded.settings.providers.tables if loaded is not None else {}
    names = {canonical(name): name for name in (*KNOWN, *tables)}
    stored = store.holders(names)
    found: list[KeySource] = []
    for key in sorted({*names, *stored}):
        name = names.get(key, key)
        places = [
            *_variables(name, tables.get(name), env),
            *_file(name, loaded),
            *(
                KeySource(name, holder, None, False, str(store.file.path) if holder == "file" else None)
                for holder in stored.get(key, ())
            ),
        ]
        found += [place._replace(active=at == 0) for at, place in enumerate(places)]
    return found


def _variables(name: str, table: ProviderSettings | None, env: Mapping[str, str]) -> Iterator[KeySource]:
    if name in SERVICES:
        variables = [f"LLMSPELL_API_KEY_{name.upper()}", SERVICES[name]]
    else:
        variables = [*key_variables(name, table)]
    for variable in dict.fromkeys(variables):
        if env.get(variable):
            yield KeySource(name, "environment", variable, False)


def _file(name: str, loaded: LoadedSettings | None) -> Iterator[KeySource]:
    """The key in the provider's table of the file itself: the settings in force may have it from a variable."""
    if loaded is None or loaded.source is None:
        return
    providers: Any = loaded.origins.source.data.get("providers")
    table = providers.get(name) if isinstance(providers, dict) else None
    if isinstance(table, dict):
        options = table.get("options")
        if table.get("api_key") or (isinstance(options, dict) and options.get("api_key")):
            yield KeySource(name, "config", None, False, loaded.origins.source.name)

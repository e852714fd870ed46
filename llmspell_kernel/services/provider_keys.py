"""Keys of vendors, as models need them: from the environment, from what `llmspell keys` has kept. May block.

The libraries are imported by those who need a key: who has local models alone doesn't wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings


def api_key(name: str, table: ProviderSettings, environment: Mapping[str, str], home: Path) -> str | None:
    """The key of a remote provider; the store is a file or a system keyring, so this may block."""
    from llmspell_profiles.credentials.key_store import KeyStore
    from llmspell_profiles.credentials.secrets import find_api_key

    found = find_api_key(name, table, environment, KeyStore(home))
    return None if found is None else found.value


def keyed_vendors(environment: Mapping[str, str], home: Path) -> list[str]:
    """The vendors that a key is exported or stored for; asks no keyring, which may want a password."""
    from llmspell_profiles.credentials.key_file import KeyFile
    from llmspell_profiles.credentials.secrets import key_variables
    from llmspell_protocol.vendors import KEY_VARIABLES

    try:
        stored = KeyFile(home).read()
    except LlmspellError:
        names: set[str] = set()  # who asks for a key is told
    else:
        names = {*stored.keys, *stored.in_keyring}
    return [
        vendor
        for vendor in KEY_VARIABLES
        if vendor in names or any(environment.get(variable) for variable in key_variables(vendor, None))
    ]


def hub_token(home: Path) -> str | None:
    """The token for the Hugging Face hub that `llmspell keys add huggingface` has kept; this may block."""
    from llmspell_profiles.credentials.key_store import KeyStore

    found = KeyStore(home).get("huggingface")
    return None if found is None else found.value

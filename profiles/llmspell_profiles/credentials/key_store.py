"""The API keys that were stored with `llmspell keys add`: in the system keyring, or in a file where there is none.

The last place where a provider's key is looked for; the others are `secrets.py`'s. Importing this loads no keyring.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from llmspell_profiles.credentials.key_file import KeyFile
from llmspell_profiles.credentials.system_keyring import SystemKeyring
from llmspell_protocol.errors import ConfigError

StoreName = Literal["keyring", "file"]


class StoredKey(NamedTuple):
    """A key and the store that has it. Its text never shows the key."""

    value: str
    store: StoreName

    def __repr__(self) -> str:
        return f"<key in the {self.store} store>"


def canonical(name: str) -> str:
    """The one spelling of a provider's name here: as in variables, case doesn't count and `-` and `_` are the same."""
    return name.lower().replace("_", "-")


class KeyStore:
    """Keys by provider, of one user; `home` is LLMSPELL_HOME."""

    def __init__(self, home: Path) -> None:
        self.file = KeyFile(home)
        self.keyring = SystemKeyring()

    def get(self, name: str) -> StoredKey | None:
        """The key that counts: the keyring's before the file's.

        Raises:
            ConfigError: a store is there and can't be read.
        """
        name = canonical(name)
        if key := self.keyring.get(name):
            return StoredKey(key, "keyring")
        if key := self.file.read().keys.get(name):
            return StoredKey(key, "file")
        return None

    def holders(self, names: Iterable[str]) -> dict[str, list[StoreName]]:
        """Which stores have a key, by name, the one that counts first: of all names that are known to be stored.

        `names` are looked for too, for keys that other programs or another home put into the keyring.

        Raises:
            ConfigError: a store is there and can't be read.
        """
        content = self.file.read()
        found: dict[str, list[StoreName]] = {}
        for name in sorted({*map(canonical, names), *content.keys, *content.in_keyring}):
            stores: list[StoreName] = ["keyring"] if self.keyring.get(name) else []
            if content.keys.get(name):
                stores.append("file")
            if stores:
                found[name] = stores
        return found

    def choose(self, wanted: StoreName | None) -> StoreName:
        """The store for a new key: the wanted one, else the keyring where there is one.

        Raises:
            ConfigError: the keyring is wanted and there is none.
        """
        if wanted == "file":
            return "file"
        if self.keyring.usable:
            return "keyring"
        if wanted == "keyring":
            raise ConfigError(
                "there is no system keyring that can be used here", hint="llmspell keys add --store file …"
            )
        return "file"

    def add(self, name: str, key: str, store: StoreName) -> None:
        """Stores a key, and deletes an earlier one from any store: it would win, or come back later.

        Raises:
            ConfigError: the store can't be written.
        """
        name = canonical(name)
        with self.file.changing() as content:
            if store == "keyring":
                self.keyring.set(name, key)
                content.in_keyring[:] = sorted({*content.in_keyring, name})
                content.keys.pop(name, None)
                return
            if self.keyring.get(name):
                self.keyring.delete(name)
            content.in_keyring[:] = [other for other in content.in_keyring if other != name]
            content.keys[name] = key

    def remove(self, name: str) -> list[StoreName]:
        """Deletes a key from every store that has it; returns these stores.

        Raises:
            ConfigError: a store can't be read or written.
        """
        name = canonical(name)
        stores = self.holders([name]).get(name, [])
        if not stores:
            return []
        with self.file.changing() as content:
            if "keyring" in stores:
                self.keyring.delete(name)
            content.in_keyring[:] = [other for other in content.in_keyring if other != name]
            content.keys.pop(name, None)
        return stores

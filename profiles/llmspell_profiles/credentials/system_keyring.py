"""API keys in the keyring of the operating system, under the service name `llmspell`. Knows no file and no settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmspell_protocol.errors import ConfigError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "llmspell"
_OTHER_STORE = "unlock it, or keep the key in a file: llmspell keys add PROVIDER --store file"
_NONE = ("keyring.backends.fail", "keyring.backends.null")
"""Modules of backends that keep nothing: what stands for "there is no keyring", and what switches keyrings off."""


class SystemKeyring:
    """The keyring that the `keyring` library chooses: by its configuration, else the best that it recommends here."""

    def __init__(self) -> None:
        self._backend: KeyringBackend | None = None

    @property
    def usable(self) -> bool:
        """Whether there is one; containers and servers often have none.

        Raises:
            ConfigError: a keyring was chosen by configuration and can't be loaded.
        """
        return type(self._chosen()).__module__ not in _NONE

    @property
    def description(self) -> str:
        """Which one it is, in the library's own words."""
        return str(self._chosen().name)

    def get(self, name: str) -> str | None:
        """The key of this name; None where there is none, or no usable keyring."""
        if not self.usable:
            return None
        with _errors("read"):
            return self._chosen().get_password(SERVICE, name) or None

    def set(self, name: str, key: str) -> None:
        """Stores a key, in place of an earlier one."""
        with _errors("write to"):
            self._chosen().set_password(SERVICE, name, key)

    def delete(self, name: str) -> None:
        """Deletes a key that is there."""
        with _errors("write to"):
            self._chosen().delete_password(SERVICE, name)

    def _chosen(self) -> KeyringBackend:
        if self._backend is None:
            # 50 ms, and on Linux a look at D-Bus: only for those who need a key from it.
            from keyring import core

            try:
                # Without the limit the library would also take backends that write keys into open files.
                core.init_backend(limit=core.recommended)
            except (ImportError, AttributeError, ValueError, RuntimeError) as error:
                hint = "unset PYTHON_KEYRING_BACKEND, or correct keyringrc.cfg"
                raise ConfigError(f"the configured system keyring can't be loaded: {error}", hint=hint) from None
            self._backend = core.get_keyring()
        return self._backend


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    from keyring.errors import KeyringError

    try:
        yield
    except (KeyringError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ConfigError(f"cannot {doing} the system keyring: {reason}", hint=_OTHER_STORE) from None

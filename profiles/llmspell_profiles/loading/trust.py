"""Which files of projects a person has said yes to: a file that came with a directory must not act by itself.

The keys with the mark `NeedsTrust` start programs, open files, hosts or sockets, or send keys somewhere. In the user's
own file, and in one that is named, they count; in one that is found in the working directory only after `llmspell
config trust`. What was said yes to is those keys with their values: other changes ask for nothing.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_profiles.nested import leaves
from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.providers import ProviderSettings
from llmspell_profiles.schema.schema_keys import Key, find, needs_trust
from llmspell_protocol.errors import ConfigError

COMMAND = "llmspell config trust"
_SHOWN_KEYS = 3


class Guarded(NamedTuple):
    """What a file says about keys that need trust: dotted name → value as it is written there."""

    file: Path
    name: str
    """as messages call it"""
    found: bool
    """in the working directory: nothing has named it, and it is not the user's own"""
    values: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the values: what trust is about."""
        # Few files have such keys.
        import hashlib
        import json

        text = json.dumps(self.values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def guarded_values(data: Mapping[str, Any], providers: Mapping[str, type[ProviderSettings]]) -> dict[str, Any]:
    """The keys of a file that need trust, without those that only repeat a default."""

    def is_of_map(path: KeyPath, _value: Any) -> bool:
        """The entries of a key that is a map are each whole: a reference to a secret is one."""
        return isinstance(find(path[:-1], providers), Key)

    found = leaves(data, whole=is_of_map)
    return {".".join(path): value for path, value in found if _is_guarded(path, value, providers)}


def _is_guarded(path: KeyPath, value: Any, providers: Mapping[str, type[ProviderSettings]]) -> bool:
    key = next((found for found in (find(path, providers), find(path[:-1], providers)) if isinstance(found, Key)), None)
    return key is not None and needs_trust(key, value)


class TrustedFiles:
    """`trusted.json` in a home: the digest of each trusted file's guarded keys, by the file's path without links."""

    def __init__(self, home: Path) -> None:
        self._path = home / "trusted.json"

    def knows(self, guarded: Guarded) -> bool:
        """Whether a person has said yes to these keys of this file, or there are none."""
        return not guarded.values or self._read().get(_key(guarded.file)) == guarded.digest

    def add(self, guarded: Guarded) -> None:
        """A person has said yes. Raises ConfigError: the file can't be written."""
        self._write({**self._read(), _key(guarded.file): guarded.digest})

    def remove(self, file: Path) -> bool:
        """The file isn't trusted any more; whether it was. Raises as `add`."""
        trusted = self._read()
        if trusted.pop(_key(file), None) is None:
            return False
        self._write(trusted)
        return True

    def demand(self, guarded: Guarded) -> None:
        """Raises ConfigError where a file that was found isn't trusted."""
        refused = self.refusal(guarded)
        if refused is not None:
            raise refused

    def refusal(self, guarded: Guarded) -> ConfigError | None:
        """The error for a file that was found and isn't trusted; None: it may be used."""
        if not guarded.found or self.knows(guarded):
            return None
        keys = list(guarded.values)
        more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
        return ConfigError(
            f"{guarded.name} of this directory is not trusted: it sets {', '.join(keys[:_SHOWN_KEYS])}{more}",
            hint=f"look at what it sets, and say yes to it: {COMMAND}",
            details={"file": str(guarded.file), "untrusted": keys},
        )

    def _read(self) -> dict[str, str]:
        import json

        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise self._error("read", problem) from None
        return content if isinstance(content, dict) else {}

    def _write(self, trusted: Mapping[str, str]) -> None:
        import json
        import tempfile

        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, partial = tempfile.mkstemp(prefix=".trusted.", dir=self._path.parent)
            try:
                with os.fdopen(fd, "w", encoding="utf-8") as file:
                    json.dump(trusted, file, indent=1, sort_keys=True)
                os.replace(partial, self._path)
            finally:
                Path(partial).unlink(missing_ok=True)
        except OSError as problem:
            raise self._error("written", problem) from None

    def _error(self, doing: str, problem: Exception) -> ConfigError:
        why = problem.strerror if isinstance(problem, OSError) else problem
        return ConfigError(f"{self._path} can't be {doing}: {why}", details={"file": str(self._path)})


def _key(file: Path) -> str:
    return os.path.realpath(file)

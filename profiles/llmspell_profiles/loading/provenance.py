"""What a start's settings would be made of, without loading them: the file that is found, the variables that are set.

Imports little, since every command asks: whether a running kernel means the same, and which kernel the user wants.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from llmspell_profiles.loading.home import LOCAL_PLACES, general_configuration_places, home_text
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.user_home import expanded_user

NOT_SETTINGS = frozenset(
    "LLMSPELL_" + name for name in ("HOME", "CONFIG", "CONNECT", "ENGINE", "KEY", "LOG", "MOCK_PAUSE", "MOCK_REPLY")
)
"""Variables of ours that name no setting; others read them."""

OTHERS = {"OLLAMA_HOST": ("providers", "ollama", "base_url"), "CANDLE_DEVICE": ("providers", "candle", "device")}
"""Variables of others that set a key of ours."""

_THIS_COMMAND = ("LLMSPELL_CLI__",)
"""Variables about the command line itself: no kernel reads them."""
_DIGEST_BYTES = 8
_NOTHING = re.compile(r"(?:\[(?!providers\.)[\w.-]+\]|\[providers\.(?:candle|ollama)\])?\s*(?:#.*)?")


def special_file(env: Mapping[str, str], cwd: str) -> str | None:
    """The configuration file that is meant here and not everywhere: `LLMSPELL_CONFIG`'s, or one of this directory.

    An absolute path without links; None where nothing but the user's general file could be read. A file of this
    directory that sets nothing hides nothing.
    """
    named = env.get("LLMSPELL_CONFIG")
    if named:
        return os.path.realpath(os.path.join(cwd, expanded_user(named, env)))
    for place in LOCAL_PLACES:
        path = os.path.join(cwd, place)
        if os.path.isfile(path) and not file_sets_nothing(path):
            return os.path.realpath(path)
    return None


def sets_nothing(text: str) -> bool:
    """Whether a file has only comments and tables without keys, such as `config init` writes.

    The table of a provider that isn't there by itself configures it, so it is something.
    """
    return all(_NOTHING.fullmatch(line.strip()) for line in text.removeprefix("\ufeff").splitlines())


def file_sets_nothing(path: str) -> bool:
    """The same of a file; false for one that can't be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return sets_nothing(file.read())
    except (OSError, UnicodeDecodeError):
        return False  # its reader tells what is wrong


def variables_that_set(env: Mapping[str, str]) -> list[str]:
    """The names of the variables that set something of a kernel, sorted."""
    return sorted(
        name
        for name, value in env.items()
        if value
        and (name.startswith("LLMSPELL_") or name in OTHERS)
        and name not in NOT_SETTINGS
        and not name.startswith(_THIS_COMMAND)
    )


def digests(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    """These variables as `NAME=DIGEST`; the digests are made with a kernel's key, since values may be secrets."""
    names = variables_that_set(env)
    if not names:
        return ()
    # Few users have such variables.
    from hashlib import blake2b

    secret = key.encode()[:64]

    def digest(name: str) -> str:
        value = os.fsencode(env[name])
        return blake2b(value, digest_size=_DIGEST_BYTES, key=secret).hexdigest()

    return tuple(f"{name}={digest(name)}" for name in names)


def cli_setting(name: str, env: Mapping[str, str], cwd: str) -> str | None:
    """The setting `cli.NAME` as it is written, None where it is not; whether it is a possible one is not looked at.

    A file that does not mention the table is not parsed, and one that can't be read says nothing: who loads the
    settings tells why.
    """
    variable = env.get(f"LLMSPELL_CLI__{name.upper()}")
    if variable:
        return variable
    for place in _places(env, cwd):
        try:
            with open(place, "rb") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
        return _in_file(text, name) if re.search(rb"\bcli\b", text) else None
    return None


def _places(env: Mapping[str, str], cwd: str) -> Iterator[str]:
    try:
        special = special_file(env, cwd)
        if special is not None:
            yield special
            return
        yield from general_configuration_places(env, home_text(env))
    except LlmspellError:
        return


def _in_file(text: bytes, name: str) -> str | None:
    # Only files with such a setting need it.
    import tomllib

    try:
        table = tomllib.loads(text.decode()).get("cli")
    except ValueError:
        return None
    value = table.get(name) if isinstance(table, dict) else None
    return value if isinstance(value, str) else None

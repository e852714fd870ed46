"""API keys: which variables may hold one, which one counts, and which settings must never be shown.

What `llmspell keys add` has kept is `key_store.py`'s; loading that waits until nothing else has a key.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_protocol.vendors import KEY_VARIABLES

if TYPE_CHECKING:
    from llmspell_profiles.credentials.key_store import KeyStore, StoreName
    from llmspell_profiles.schema.providers import ProviderSettings

SECRET_NAME = (
    r"(?:api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|secret|password|passwd|passphrase|token"
    r"|credentials?|authorization|cookie)"
)
"""What a secret is called, in any case."""
_WHOLE_NAME = re.compile(rf"(?i)(?:.*[_\-.])?{SECRET_NAME}|.*(?:apikey|accesstoken|clientsecret|password)|key_material")
_VARIABLE = re.compile(rf"(?i)(?:.*_)?(?:key|{SECRET_NAME})")
_SECRET_WORDS = ("key", "token", "secret", "password", "passwd", "passphrase", "credential", "authorization", "cookie")
"""The words in them: a name with one is not shown where nothing is known of it."""
PASSWORD_IN_URL = r"(?<=://)([^/@\s:]*):[^/@\s]+@"
"""Group 1 is the user's name."""
_SECRET_WORD = rf"[^\s=:]*(?:{'|'.join(_SECRET_WORDS)})[^\s=:]*"
_SECRET_IN_WORD = rf"(?is)\A({_SECRET_WORD}\s*[=:]\s*)\S.*\Z"
# A name has a longest length: a text may have a megabyte without a blank in it.
_OF_A_NAME = r"[^=&;#?\s]{0,100}"
SECRET_IN_QUERY = rf"(?i)([?&;]{_OF_A_NAME}(?:{'|'.join(_SECRET_WORDS)}){_OF_A_NAME}=)[^&;#\s]+"
"""Group 1 is what stands before the value."""

HIDDEN = "***"
"""What stands for a secret wherever settings are shown."""


class ApiKey:
    """A key that was found, and where: in `variable`, in `store`, or (both None) in the configuration file.

    Its text never shows the key.
    """

    def __init__(self, value: str, variable: str | None, store: "StoreName | None" = None) -> None:
        self.value = value
        self.variable = variable
        self.store = store


def key_variables(name: str, provider: "ProviderSettings | None") -> Iterator[str]:
    """The variables that may hold the key of provider `name`, strongest first; without a table it is a vendor's name.

    A vendor's own variable is for the vendor alone: a server that speaks OpenAI's interface is not sent OpenAI's key.
    """
    upper = name.upper().replace("-", "_")
    yield f"LLMSPELL_PROVIDERS__{upper}__API_KEY"
    yield f"LLMSPELL_PROVIDER_{upper}_API_KEY"
    yield f"LLMSPELL_{upper}_API_KEY"
    yield f"LLMSPELL_API_KEY_{upper}"
    if provider is None:
        kind = name
    else:
        # A table is there, and so its schema is loaded.
        from llmspell_profiles.schema.vendors import is_own_server

        kind = "" if is_own_server(provider) else provider.provider_type
        if provider.api_key_env:
            yield provider.api_key_env
    if kind in KEY_VARIABLES:
        yield KEY_VARIABLES[kind]


def find_api_key(
    name: str, provider: "ProviderSettings", env: Mapping[str, str], store: "KeyStore | None" = None
) -> ApiKey | None:
    """The key of provider `name`: the first variable that is set and not empty, else the table's `api_key`.

    Only where there is neither, `store` is asked for what `llmspell keys add` has kept.

    Raises:
        ConfigError: the store can't be read.
    """
    for variable in key_variables(name, provider):
        if value := env.get(variable):
            return ApiKey(value, variable)
    if provider.api_key:
        return ApiKey(provider.api_key, None)
    if store is not None and (stored := store.get(name)) is not None:
        return ApiKey(stored.value, None, stored.store)
    return None


def is_secret(key: str, *, known: bool) -> bool:
    """Whether the value of a key must not be shown; `known` tells keys of the schema from a backend's own options."""
    return is_secret_name(key) or (not known and any(word in key.lower() for word in _SECRET_WORDS))


def is_secret_name(name: str) -> bool:
    """Whether a field, header or variable of this name holds a secret; `max_tokens` and `key` alone do not."""
    return _WHOLE_NAME.fullmatch(name) is not None


def is_secret_variable(name: str) -> bool:
    """The same of a variable of the environment, where `STRIPE_KEY` holds one too."""
    return _VARIABLE.fullmatch(name) is not None


def is_reference(value: Any) -> bool:
    """Whether a value of the configuration names where a secret is, and is none itself."""
    return isinstance(value, Mapping) and len(value.keys() & {"secret", "variable"}) == 1 and len(value) <= 2


def shown(key: str, value: Any, *, known: bool) -> Any:
    """The value of a key as it may be shown: `HIDDEN` for a secret that is set; URLs without the secrets in them."""
    if is_secret(key, known=known):
        return HIDDEN if value else value
    return without_secrets(value) if isinstance(value, str) else value


def arguments_without_secrets(words: Sequence[str]) -> list[str]:
    """A program's arguments with `HIDDEN` for what follows `--api-key`, `--token=`, `Authorization:` and the like."""
    shown_words: list[str] = []
    hides = False
    for word in words:
        if hides and not word.startswith("-"):
            shown_words.append(HIDDEN)
        else:
            shown_words.append(re.sub(_SECRET_IN_WORD, rf"\1{HIDDEN}", without_secrets(word)))
        hides = re.fullmatch(rf"--?{_SECRET_WORD}", word, re.IGNORECASE) is not None
    return shown_words


def without_secrets(text: str) -> str:
    """The text with `HIDDEN` for passwords and for `api_key=…` and the like in URLs."""
    if "://" not in text:
        return text
    return re.sub(SECRET_IN_QUERY, rf"\1{HIDDEN}", re.sub(PASSWORD_IN_URL, rf"\1:{HIDDEN}@", text))

"""Names of models: `[provider/]model[:variant][@backend]`. Pure text; which backend has a model is the registry's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import InvalidRequest

_HUB_PREFIXES = ("hf.co/", "huggingface.co/")
_WHOLE_REPOSITORY = re.compile(
    r"hf://[^/@]+/[^/@:]+(?:@(?:refs/(?:pr|convert)/[^/:@]+|[^/:@]+))?(?::[^/@]+)?(?:@[^/@:]+)?"
)
_PAGE_OF_REPOSITORY = re.compile(r"https://(?:www\.)?(?:hf\.co|huggingface\.co)/(?P<name>[^/?#]+/[^/?#]+)/?")
"""What a browser shows there."""
_LOCAL_PREFIX = "local"
SCHEMES = ("file://", "https://", "http://", "hf://", "pypi://")
_KNOWN_REGISTRIES = ("hf.co", "huggingface.co", "registry.ollama.ai")
_LONGEST = 8192
"""Characters; addresses that are signed have thousands."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A parsed name; `provider` is what stands before the model, without the prefixes that only mean "local"."""

    model: str
    variant: str | None = None
    provider: str | None = None
    backend: str | None = None
    source: str | None = None
    """A `file://`, `https://` or `hf://` address that was given in place of a name."""
    revision: str | None = None
    """The branch, tag or commit of a hub repository that was named expressly."""

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """The spec in a text.

        Raises:
            InvalidRequest: the text names nothing, or its backend is empty.
        """
        name = _with_small_scheme(text.strip())
        _require_sound(text, name)
        backend: str | None = None
        for prefix in _HUB_PREFIXES:
            if name.startswith(prefix):
                return cls._hub(text, name.removeprefix(prefix))
        if page := _PAGE_OF_REPOSITORY.fullmatch(name):
            return cls._hub(text, page["name"])
        if _WHOLE_REPOSITORY.fullmatch(name):
            return cls._hub(text, unquote(name.removeprefix("hf://")))
        if "://" not in name or "@" in name.rpartition("/")[2]:
            name, at, after = name.rpartition("@") if "@" in name else (name, "", "")
            if at:
                backend = after.strip()
                if not backend:
                    raise _bad(text, "the backend after '@' is empty")
                name = name.strip()
        if name.startswith(SCHEMES):
            return cls(model=_name_in_address(text, name), backend=backend, source=name)
        if backend is None or backend in LOCAL_BACKENDS:
            _require_no_path(text, name)
        provider, _, model = name.rpartition("/")
        model, colon, variant = model.partition(":")
        if not model.strip() or (colon and not variant.strip()):
            raise _bad(text, "the model's name is empty" if not model.strip() else "the variant after ':' is empty")
        head, _, rest = provider.partition("/")
        if head == _LOCAL_PREFIX:
            provider = rest
        elif head in LOCAL_BACKENDS:
            provider, backend = rest, backend or head
        return cls(model=model, variant=variant or None, provider=provider or None, backend=backend)

    @classmethod
    def _hub(cls, text: str, name: str) -> ModelSpec:
        """`ORG/REPO[@REVISION][:QUANT][@BACKEND]`: an `@` behind the repository is a backend's only by its name."""
        before, at, after = name.rpartition("@")
        backend = after.strip() if at and (":" in before or after.strip() in (*LOCAL_BACKENDS, "")) else None
        if backend == "":
            raise _bad(text, "the backend after '@' is empty")
        repository, colon, variant = (name if backend is None else before.strip()).partition(":")
        repository, _, revision = repository.partition("@")
        organisation, _, model = repository.partition("/")
        if not organisation or not model or "/" in model:
            raise _bad(
                text,
                "a Hugging Face repository is hf.co/ORG/REPO[@REVISION][:QUANT]",
                "one file of a repository is hf://ORG/REPO[@REVISION]/FILE",
            )
        if colon and not variant.strip():
            raise _bad(text, "the variant after ':' is empty")
        at_revision = f"@{quote(revision, safe='')}" if revision else ""
        return cls(
            model=model,
            variant=variant or None,
            provider=organisation,
            backend=backend or "candle",
            source=f"hf://{repository}{at_revision}",
            revision=revision or None,
        )

    @property
    def name(self) -> str:
        """The name without backend: what a backend calls the model."""
        model = f"{self.model}:{self.variant}" if self.variant else self.model
        return f"{self.provider}/{model}" if self.provider else model

    @property
    def hub_repository(self) -> str | None:
        """`ORG/REPO` when the spec names a repository of the Hugging Face hub (`hf.co/…`), not a file in one."""
        repository = f"{self.provider}/{self.model}"
        at = (self.source or "").partition("@")[0]
        return repository if self.provider and at == f"hf://{repository}" else None

    @property
    def opens(self) -> Literal["files", "public", "private"] | None:
        """What a pull of it opens: a path, an address of the web, or a registry that its name names.

        None: the catalog, the hub and Ollama's library alone.
        """
        if self.source is not None:
            scheme = self.source.partition("://")[0]
            return None if scheme == "hf" else "files" if scheme == "file" else "public"
        first, slash, _ = (self.provider or "").partition("/")
        # As Ollama reads names: a host before the organisation is the registry that is asked.
        is_host = slash and ("." in first or ":" in first or first == "localhost")
        return "private" if is_host and first not in _KNOWN_REGISTRIES else None

    @property
    def looks_like_file(self) -> bool:
        """Whether a name is one that only files have."""
        return self.source is None and self.name.lower().endswith((".gguf", ".safetensors"))

    def with_backend(self, backend: str) -> ModelSpec:
        """The same model at a backend."""
        return replace(self, backend=backend)

    def __str__(self) -> str:
        """The spec as a person would write it; parses to an equal one."""
        base = self.source or self.name
        if self.hub_repository is not None:
            at = f"@{self.revision}" if self.revision else ""
            base = f"hf.co/{self.hub_repository}{at}{f':{self.variant}' if self.variant else ''}"
        return f"{base}@{self.backend}" if self.backend else base


def is_a_path(text: str, path: str) -> InvalidRequest:
    """The error for a path where a model's name is expected."""
    place = quote(path) if path.startswith("/") else _whole(quote(path.removeprefix("./")))
    return InvalidRequest(
        f"'{text.strip()}' is a path and no model's name; the address of a file or directory is file:// and its whole"
        " path",
        hint=f"llmspell model pull file://{place}, and then the name that this gives the model",
        details={"model": text},
    )


def _whole(path: str) -> str:
    """A relative path as one that a shell makes a whole one of."""
    first, slash, rest = path.partition("/")
    if first == "~":
        return f"$HOME{slash}{rest}"
    return f"/…/{rest}" if first.startswith("~") else f"$PWD/{path}"  # shells know `~name` at a word's beginning alone


def _with_small_scheme(name: str) -> str:
    scheme, mark, rest = name.partition("://")
    return f"{scheme.lower()}{mark}{rest}" if mark and scheme.isalpha() else name


def _require_sound(text: str, name: str) -> None:
    """Raises where a text can't be a name or an address at all."""
    if len(name) > _LONGEST:
        raise _bad(f"{text[:60]}…", f"it has {len(name)} characters, and a name or an address {_LONGEST} at most")
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in name):
        raise _bad(ascii(text)[1:-1], "it has characters that are no text")


def _name_in_address(text: str, address: str) -> str:
    """What the last part of an address calls a model."""
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https"):
        rest = rest.partition("?")[0].partition("#")[0]
        try:
            parts = urlsplit(address)
            is_sound = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_sound = False
        if not is_sound:
            raise _bad(
                text, "host or port of the address make no sense", f"write {scheme}://HOST[:PORT]/PATH/FILE.gguf"
            )
    elif scheme == "file" and rest and not rest.removeprefix("localhost").startswith("/"):
        place = _whole(rest)
        raise _bad(text, "the path is not a whole one", f"write file:///PATH, such as file://{place}")
    name = unquote(rest.rstrip("/").rpartition("/")[2]).strip()
    if not name or any(letter < " " or letter == "\x7f" for letter in name):
        raise _bad(text, "the address names no file")
    return name.removesuffix(".gguf")


def _require_no_path(text: str, name: str) -> None:
    if name.startswith("file:"):
        raise is_a_path(text, name.removeprefix("file:"))
    if name.startswith(("/", "./", "../", "~/")):
        raise is_a_path(text, name)
    scheme, mark, _ = name.partition("://")
    if mark and scheme.isalnum():
        raise _bad(
            text, f"{scheme}:// is not an address that models are pulled from", "write https://, file:// or hf.co/"
        )


def _bad(
    text: str, why: str, hint: str = "write model[:variant][@backend], for example smollm2:135m@candle"
) -> InvalidRequest:
    return InvalidRequest(f"Invalid model spec '{text}': {why}", hint=hint, details={"model": text})

"""Names of models: `[provider/]model[:variant][@backend]`. Pure text; which backend has a model is the registry's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import InvalidRequest

_HUB_PREFIXES = ("hf.co/", "huggingface.co/")
_WHOLE_REPOSITORY = re.compile(
    r"hf://[^/@]+/[^/@:]+(?:@(?:refs/(?:pr|convert)/[^/:@]+|[^/:@]+))?(?::[^/@]+)?(?:@[^/@:]+)?"
)
_PAGE_OF_REPOSITORY = re.compile(r"https://(?:www\.)?(?:hf\.co|huggingface\.co)/(?P<name>[^/?#]+/[^/?#]+)/?")
"""What a browser shows there."""
_LOCAL_PREFIX = "local"


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
        name = text.strip()
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
        if name.startswith(("file://", "https://", "http://", "hf://", "pypi://")):
            address = name.partition("?")[0] if name.startswith("http") else name
            base = address.partition("://")[2].rstrip("/").rpartition("/")[2]
            if not base.strip():
                raise _bad(text, "the address names no file")
            return cls(model=base.removesuffix(".gguf"), backend=backend, source=name)
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


def _bad(
    text: str, why: str, hint: str = "write model[:variant][@backend], for example smollm2:135m@candle"
) -> InvalidRequest:
    return InvalidRequest(f"Invalid model spec '{text}': {why}", hint=hint, details={"model": text})

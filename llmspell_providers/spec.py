"""Names of models: `[provider/]model[:variant][@backend]`. Pure text; which backend has a model is the registry's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llmspell_protocol.errors import InvalidRequest

LOCAL_BACKENDS = ("ollama", "candle")
_HUB_PREFIXES = ("hf.co/", "huggingface.co/")
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

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """The spec in a text.

        Raises:
            InvalidRequest: the text names nothing, or its backend is empty.
        """
        name = text.strip()
        backend: str | None = None
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
        for prefix in _HUB_PREFIXES:
            if name.startswith(prefix):
                return cls._hub(text, name.removeprefix(prefix), backend)
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
    def _hub(cls, text: str, name: str, backend: str | None) -> ModelSpec:
        repository, _, variant = name.partition(":")
        organisation, _, model = repository.partition("/")
        if not organisation or not model or "/" in model:
            raise _bad(text, "a Hugging Face repository is hf.co/ORG/REPO[:QUANT]")
        return cls(
            model=model,
            variant=variant or None,
            provider=organisation,
            backend=backend or "candle",
            source=f"hf://{repository}",
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
        return repository if self.provider and self.source == f"hf://{repository}" else None

    def with_backend(self, backend: str) -> ModelSpec:
        """The same model at a backend."""
        return replace(self, backend=backend)

    def __str__(self) -> str:
        """The spec as a person would write it; parses to an equal one."""
        base = f"hf.co/{self.name}" if self.hub_repository is not None else self.source or self.name
        return f"{base}@{self.backend}" if self.backend else base


def _bad(text: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid model spec '{text}': {why}",
        hint="write model[:variant][@backend], for example smollm2:135m@candle",
        details={"model": text},
    )

"""The tables `[providers]` and `[providers.NAME]`: which backends are configured, and how."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from llmspell_profiles.schema.checks import Data
from llmspell_profiles.schema.table import Field, Table, rule, subtable
from llmspell_profiles.schema.values import (
    AutoOrSize,
    BaseUrl,
    Device,
    Elsewhere,
    FilePath,
    High,
    Idle,
    NeedsTrust,
    Quantization,
    StopStrings,
    Variable,
    auto_or,
    words,
    wrong,
)
from llmspell_protocol.numbers import INT32_HIGH
from llmspell_protocol.seeds import LARGEST_SEED

CloudType = Literal[
    "openai", "anthropic", "cohere", "groq", "perplexity", "together", "gemini", "mistral", "replicate", "fireworks"
]
Backend = Literal["ollama", "candle"]
PROVIDER_TYPES: tuple[str, ...] = (*get_args(CloudType), *get_args(Backend))
GgufEngine = Literal["xllamacpp", "llama-cpp-python", "llama-server"]
Speculation = Literal["auto", "off", "ngram"]


class Retry(Table):
    """`[providers.NAME.retry]`: repeated attempts after failures that may pass."""

    max_retries: Annotated[int, High(10)] = Field(default=3, ge=0, description="retries of retryable failures")
    initial_delay_ms: int = Field(default=1000, ge=0, description="first pause, in milliseconds")
    max_delay_ms: int = Field(
        default=30_000, ge=0, description="longest pause, in milliseconds; at least the first one"
    )
    backoff_multiplier: float = Field(default=2.0, gt=0, description="growth of the pause")

    @rule
    def _pauses_grow(self) -> None:
        if self.max_delay_ms < self.initial_delay_ms:
            text = f"must be at least initial_delay_ms ({self.initial_delay_ms}), got {self.max_delay_ms}"
            raise wrong(text, "max_delay_ms")


class RateLimit(Table):
    """`[providers.NAME.rate_limit]`: a limit that this client keeps by itself."""

    requests_per_minute: int = Field(default=60, ge=1, description="client-side limit of requests")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="client-side limit of tokens")
    auto_retry: bool = Field(default=True, description="wait instead of failing")


class ProviderSettings(Table):
    """What all provider tables share. Keys that aren't listed are kept (`options`) and handed to the backend."""

    OTHERS: ClassVar[Any] = Data

    name: Annotated[str, Idle()] = Field(default="", description="display name; default: the table's name")
    provider_type: str = Field(description="implementation; default: the table's name, if that is a known type")
    enabled: bool = Field(default=True, description="false: as if not configured")
    base_url: Annotated[BaseUrl | None, Elsewhere] = Field(default=None, description="endpoint; default: the vendor's")
    api_key_env: Variable | None = Field(default=None, description="variable that holds the key; default: the vendor's")
    api_key: str | None = Field(default=None, secret=True, description="literal key, discouraged")
    default_model: str | None = Field(default=None, description="model when none is named")
    max_tokens: int | None = Field(
        default=None, ge=1, le=INT32_HIGH, description="reply limit, in tokens; unset: the context alone"
    )
    timeout_seconds: Annotated[int, High(600)] = Field(
        default=60, ge=1, description="longest wait for the first token, and for each next one, in seconds"
    )
    max_retries: Annotated[int | None, High(10)] = Field(
        default=None, ge=0, description="shorthand, wins over retry.max_retries"
    )
    retry: Retry = subtable("repeated attempts")
    rate_limit: RateLimit | None = Field(default=None, description="client-side limits; none without this table")
    temperature: float = Field(default=0.7, ge=0, le=2, description="sampling; 0 = greedy")
    top_p: float = Field(default=0.9, ge=0, le=1, description="sampling")
    top_k: int = Field(default=40, ge=0, le=INT32_HIGH, description="sampling, local; 0 = off")
    min_p: float | None = Field(default=None, ge=0, le=1, description="sampling, local")
    repeat_penalty: float = Field(default=1.1, gt=0, description="sampling, local; 1 = off")
    repeat_last_n: int = Field(default=64, ge=0, le=INT32_HIGH, description="window of the penalty, in tokens")
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED, description="reproducible sampling")
    stop: StopStrings = Field(default=(), description="stop strings")

    @property
    def options(self) -> Mapping[str, Any]:
        """The keys of the table that this schema doesn't list; they go to the backend as they are."""
        return self.others

    @property
    def retries(self) -> int:
        """How often a retryable failure is retried: `max_retries`, else `retry.max_retries`."""
        return self.retry.max_retries if self.max_retries is None else self.max_retries


class CloudSettings(ProviderSettings):
    """A provider behind an HTTP interface; `openai` with a `base_url` is any compatible server."""

    provider_type: CloudType = Field(description="implementation; default: the table's name, if that is a known type")
    base_urls: Annotated[tuple[BaseUrl, ...], Elsewhere] = Field(
        default=(), description="several servers with the same models; the least busy one is asked"
    )
    max_tokens: int | None = Field(
        default=None, ge=1, le=INT32_HIGH, description="reply limit, in tokens; unset: the server's own"
    )


class LocalSettings(ProviderSettings):
    """What the two local backends share."""

    IDLE: ClassVar[frozenset[str]] = frozenset({"api_key", "api_key_env"})

    default_backend: Annotated[Backend, words(Backend)] | None = Field(
        default=None, description="backend of local/... without @backend"
    )


class OllamaSettings(LocalSettings):
    """An Ollama daemon."""

    provider_type: Literal["ollama"] = Field(default="ollama", description="implementation")
    base_url: Annotated[BaseUrl, Elsewhere] = Field(default="http://localhost:11434", description="endpoint")
    timeout_seconds: Annotated[int, High(600)] = Field(
        default=120, ge=1, description="longest wait for the first token, and for each next one, in seconds"
    )
    auto_start: bool = Field(
        default=False, description="start `ollama serve` on this machine if installed and down; loopback URLs only"
    )
    health_check_interval_seconds: int = Field(
        default=60, ge=1, description="how long a health answer is trusted, in seconds"
    )


class CandleSettings(LocalSettings):
    """The in-house backend: one worker process a loaded model."""

    IDLE: ClassVar[frozenset[str]] = LocalSettings.IDLE | {"base_url", "max_retries", "retry", "rate_limit"}

    provider_type: Literal["candle"] = Field(default="candle", description="implementation")
    timeout_seconds: Annotated[int, High(600)] = Field(
        default=300, ge=1, description="longest wait for the first token, and for each next one, in seconds"
    )
    model_directory: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("~/.llmspell/models/candle"), check_default=True, description="weights and manifests"
    )
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:N or metal")
    max_concurrent: int = Field(default=4, ge=1, le=64, description="slots of one loaded model")
    default_quantization: Quantization = Field(default="Q4_K_M", description="for specs without variant")
    cpu_threads: int = Field(default=0, ge=0, le=512, description="threads; 0 = physical cores")
    context_size: Annotated[AutoOrSize, auto_or("an integer", at_least=64, at_most=INT32_HIGH)] = Field(
        default="auto",
        description="context of a slot, in tokens; at most the model's; auto: up to 8,192 as the memory budget allows",
    )
    batch_size: int = Field(default=256, ge=1, le=INT32_HIGH, description="prefill batch, in tokens")
    use_flash_attention: bool = Field(default=True, description="where the engine has it")
    engine: Annotated[GgufEngine, words(GgufEngine)] = Field(default="xllamacpp", description="GGUF engine")
    server_path: Annotated[FilePath | None, NeedsTrust()] = Field(
        default=None, description="binary for engine = llama-server; default: the one on PATH"
    )
    spin_count: int = Field(
        default=1000, ge=0, le=INT32_HIGH, description="how long threads of GGUF engines spin at a barrier"
    )
    speculation: Annotated[Speculation, words(Speculation)] = Field(
        default="auto", description="drafts from the conversation: off, ngram, or auto = where the engine has them"
    )


PROVIDER_CLASSES: dict[str, type[ProviderSettings]] = {"ollama": OllamaSettings, "candle": CandleSettings}


class Provider:
    """The type of a provider's table: its class depends on `provider_type`."""

    @classmethod
    def check(cls, value: object, around: object) -> ProviderSettings:
        """The table as one of its class."""
        if isinstance(value, ProviderSettings):
            return value
        kind = value.get("provider_type") if isinstance(value, dict) else None
        return PROVIDER_CLASSES.get(str(kind), CloudSettings).check(value, around)


class ProvidersSettings(Table):
    """`[providers]`: one key of its own, and a table for each provider, which `tables` and `enabled` give by name."""

    OTHERS: ClassVar[Any] = Provider

    default_provider: str | None = Field(
        default=None,
        description="for models without a provider; unset: the only enabled provider, else candle, else ollama",
    )

    @property
    def tables(self) -> Mapping[str, ProviderSettings]:
        """All provider tables by name, disabled ones too."""
        return self.others

    @property
    def enabled(self) -> Mapping[str, ProviderSettings]:
        """The providers that count as configured, by name."""
        return {name: table for name, table in self.tables.items() if table.enabled}

    def implied(self, name: str) -> CloudSettings | None:
        """The table of a vendor that the settings don't mention, all defaults: its models need a key and nothing else.

        None for what is no vendor, and for one that has a table: it may be switched off.
        """
        if name not in get_args(CloudType) or name in self.tables:
            return None
        return CloudSettings.check({"name": name, "provider_type": name})

    @property
    def default(self) -> str | None:
        """The provider for models without one: `default_provider`, else the only enabled one, else a local one."""
        if self.default_provider is not None:
            return self.default_provider
        enabled = self.enabled
        if len(enabled) == 1:
            return next(iter(enabled))
        local = (
            name for kind in ("candle", "ollama") for name, table in enabled.items() if table.provider_type == kind
        )
        return next(local, None)

    @classmethod
    def prepared(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Each provider's table with its name and type."""
        return {key: _completed(key, table) if isinstance(table, dict) else table for key, table in data.items()}

    @rule
    def _default_is_configured(self) -> None:
        if self.default_provider is not None and self.default_provider not in self.enabled:
            configured = ", ".join(sorted(self.enabled)) or "none"
            text = f"'{self.default_provider}' is not configured; configured: {configured}"
            raise wrong(text, "default_provider")


def _completed(key: str, table: dict[str, Any]) -> dict[str, Any]:
    if key == "providers":
        inner = next((name for name, value in table.items() if isinstance(value, dict)), "NAME")
        raise wrong(f"write [providers.{inner}]", f"providers.{inner}")
    kind = table.get("provider_type", key if key in PROVIDER_TYPES else None)
    if kind is None:
        raise wrong(_lacks_type(key), f"{key}.provider_type")
    if isinstance(kind, str):
        kind = kind.lower()
        if kind not in PROVIDER_TYPES:
            raise wrong(f"'{kind}' is not one of {', '.join(PROVIDER_TYPES)}", f"{key}.provider_type")
    return {"name": key, **table, "provider_type": kind}


def _lacks_type(key: str) -> str:
    # Only needed for this message, and start-up counts.
    from difflib import get_close_matches

    for close in get_close_matches(key, PROVIDER_TYPES, 1, 0.75):
        return f"is required; did you mean [providers.{close}]?"
    others = ", ".join(kind for kind in PROVIDER_TYPES if kind != "openai")
    return f"is required; openai for a server of your own that speaks OpenAI's protocol, or one of {others}"

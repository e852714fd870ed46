"""What a provider needs from a vendor's package: a client, streams, lists, vectors. One module an interface.

A dialect translates; time limits, retries, choice of a server and errors are the provider's.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The options of one request, under our names.

    `asked` are those that the request itself has: one that the interface lacks is an error. `set_by_user` are these
    and the ones that the user's settings have; the rest are our own defaults, and not required.
    """

    values: Mapping[str, Any]
    asked: frozenset[str] = frozenset()
    set_by_user: frozenset[str] = frozenset()


class Listed(NamedTuple):
    """A model as a server lists it; what it does not tell is None."""

    id: str
    context_length: int | None = None
    embedding_length: int | None = None
    parameter_count: int | None = None
    size_bytes: int = 0


class Vectors(NamedTuple):
    """What a server answers to texts: a row each, in their order."""

    rows: Sequence[Sequence[float]]
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A whole reply: what the server said at the end; `finish_reason` None means that it never said."""

    message: ChatMessage
    finish_reason: FinishReason | None
    filtered: bool = False
    usage: Usage = field(default_factory=Usage)
    times: Mapping[str, float] = field(default_factory=dict)
    """`prefill_ms` and `decode_ms` of a server that measures them."""


class Events(Protocol):
    """An open stream of a vendor's package."""

    def __aiter__(self) -> AsyncIterator[Any]:
        """Itself."""

    async def __anext__(self) -> Any:
        """What comes next."""

    async def close(self) -> None:
        """Closes the HTTP stream."""


class Gathered(Protocol):
    """What has come of one reply."""

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""

    def error(self, event: Any) -> object | None:
        """The body of an error that came as an event; None for all others."""

    def ending(self) -> Ending:
        """The whole reply, after the last event."""


class Dialect(Protocol):
    """One interface; belongs to one provider."""

    package: str
    """What has to be installed: the name of the package and of the extra."""

    @property
    def sdk(self) -> ModuleType:
        """The package, once `load` was called."""

    def headers(self, key: str) -> dict[str, str]:
        """What carries the key in a plain request."""

    def load(self) -> None:
        """Imports the package; takes a second, so it is called on a thread. Raises ImportError."""

    def client(self, base_url: str, key: str | None, *, connect_s: float, trust_env: bool) -> Any:
        """A client that never repeats a request by itself."""

    def body(self, model: str, request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
        """The request as the interface takes it; it asks for nothing that the vendor's declaration lacks.

        Raises:
            InvalidRequest: an image is of no known format.
        """

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> Events:
        """Sends a request for a stream."""

    def gathered(self, sampling: Sampling) -> Gathered:
        """What takes the events of one stream."""

    async def models(self, client: Any) -> list[Listed]:
        """The models that the server lists."""

    async def embed(self, client: Any, model: str, texts: Sequence[str]) -> Vectors:
        """One vector a text."""

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """The token ids of a text."""


class VendorPackage:
    """A dialect's package, imported when it is first needed, which takes a second.

    `parts` are modules that its client would import at its first use.
    """

    package: str
    """What has to be installed: the name of the package and of the extra."""
    parts: Sequence[str]

    _sdk: ModuleType | None = None

    @property
    def sdk(self) -> ModuleType:
        """The package, once `load` was called."""
        assert self._sdk is not None
        return self._sdk

    def load(self) -> None:
        """Imports it; called on a thread. Raises ImportError."""
        self._sdk = importlib.import_module(self.package)
        for part in self.parts:
            importlib.import_module(f"{self.package}.resources.{part}")

    def connection(self, *, connect_s: float, trust_env: bool) -> dict[str, Any]:
        """What every client is made with: it repeats nothing by itself and has no limit but for connecting."""
        timeout = self.sdk.Timeout(None, connect=connect_s)
        http_client = self.sdk.DefaultAsyncHttpxClient(trust_env=trust_env, timeout=timeout)
        return {"max_retries": 0, "timeout": timeout, "http_client": http_client}

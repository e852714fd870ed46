"""What a provider needs from a vendor's package: a client, streams, lists, vectors. One module an interface.

A dialect translates; time limits, retries, choice of a server and errors are the provider's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llmspell_protocol.addresses import Address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, Usage
from llmspell_providers.http.limits import STREAM_BYTES
from llmspell_providers.http.lines import parse_json
from llmspell_providers.http.sendable import demand_json

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The options of one request, under our names.

    `asked` are those that the request itself has: one that the interface lacks is an error. The rest stand in the
    user's settings, and are not required.
    """

    values: Mapping[str, Any]
    asked: frozenset[str] = frozenset()


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


class Ranked(NamedTuple):
    """What a server answers to a query and texts: a score each, in their order."""

    scores: Sequence[float]
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


class Gathered(Protocol):
    """What has come of one reply. An event is whatever JSON came; methods raise `Misshapen` for what it can't be."""

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""

    def error(self, event: Any) -> object | None:
        """The body of an error that came as an event; None for all others."""

    def rest(self) -> ChatChunk | None:
        """The chunk for what was held back, after the last event."""

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

    def client(self, address: Address, key: str | None) -> Any:
        """A client that never repeats a request by itself.

        Raises:
            ConfigError: the environment has something in it that no client can be made with.
        """

    def body(self, model: str, request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
        """The request as the interface takes it; it asks for nothing that the vendor's declaration lacks.

        Raises:
            InvalidRequest: an image is of no known format.
        """

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> httpx2.Response:
        """Sends a request for a stream; nothing of its body has been read."""

    def gathered(self, sampling: Sampling) -> Gathered:
        """What takes the events of one stream."""

    def listed(self, model: Mapping[str, Any]) -> Listed:
        """An entry of the server's list of models."""

    async def models(self, client: Any) -> list[Listed]:
        """The models that the server lists."""

    async def embed(self, client: Any, model: str, texts: Sequence[str], dimensions: int | None = None) -> Vectors:
        """One vector a text; with `dimensions` shortened to that, by models that can."""

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """The token ids of a text."""

    async def rerank(self, client: Any, model: str, query: str, texts: Sequence[str]) -> Ranked:
        """A score a text."""


class VendorPackage:
    """A dialect's package, imported when it is first needed, which takes a second.

    The package makes requests and knows its vendor's errors; what comes back is read here, as plain JSON.
    """

    package: str
    """What has to be installed: the name of the package and of the extra."""

    _sdk: ModuleType | None = None

    @property
    def sdk(self) -> ModuleType:
        """The package, once `load` was called."""
        assert self._sdk is not None
        return self._sdk

    def load(self) -> None:
        """Imports it, and the client for model servers; called on a thread. Raises ImportError."""
        importlib.import_module("llmspell_providers.http.client")
        self._sdk = importlib.import_module(self.package)

    def made(self, kind: str, address: Address, **settings: Any) -> Any:
        """A client of the package, on our own HTTP client, that repeats nothing by itself.

        Raises:
            ConfigError: the environment has something in it that no client can be made with.
        """
        from llmspell_providers.http.client import open_client

        http_client = open_client(address)
        try:
            return getattr(self.sdk, kind)(
                max_retries=0, timeout=http_client.timeout, http_client=http_client, **settings
            )
        except (ValueError, TypeError, OSError) as error:
            prefix = self.package.upper()
            raise ConfigError(
                f"the package '{self.package}' can't be used as the environment is: {error}",
                hint=f"look at the variables that begin with {prefix}_",
                details={"package": self.package},
            ) from None

    async def posted(self, client: Any, path: str, body: Mapping[str, Any], headers: Mapping[str, Any]) -> Any:
        """The JSON that answers a request."""
        import httpx2

        demand_json(body)
        options = {"headers": headers}
        answer = await client.post(path, cast_to=httpx2.Response, body=dict(body), options=options)
        return parse_json(answer.content)

    async def got(self, client: Any, path: str, params: Mapping[str, Any], headers: Mapping[str, Any]) -> Any:
        """The JSON at a path."""
        import httpx2

        options = {"headers": headers, "params": params}
        answer = await client.get(path, cast_to=httpx2.Response, options=options)
        return parse_json(answer.content)

    async def opened(
        self, client: Any, path: str, body: Mapping[str, Any], headers: Mapping[str, Any]
    ) -> httpx2.Response:
        """The answer to a request for a stream, whose body has not been read."""
        import httpx2

        from llmspell_providers.http.client import reply_limit

        demand_json(body)
        with reply_limit(STREAM_BYTES):
            answer: httpx2.Response = await client.post(
                path,
                cast_to=httpx2.Response,
                body=dict(body),
                options={"headers": headers},
                stream=True,
                stream_cls=self.sdk.AsyncStream[Any],
            )
        return answer

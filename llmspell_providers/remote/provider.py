"""A vendor's or compatible server as a backend: time limits, retries, choice of a server, rate limits, and our errors.

The dialect makes the server's requests and reads its answers. Nothing is imported and no request is sent before a
model is used; the vendor's package takes a second and is imported on a thread.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.errors import (
    ConfigError,
    ModelError,
    ModelNotFound,
    Unauthorized,
)
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import (
    ChatChunk,
    ChatRequest,
    HealthStatus,
    LocalModel,
    ModelInfo,
)
from llmspell_protocol.vendors import KEY_VARIABLES
from llmspell_providers.base import FoundModel
from llmspell_providers.http.attempts import USUAL_REPLY_TOKENS, Attempts, Deadline
from llmspell_providers.http.get_json import ProbeFailed
from llmspell_providers.http.probe import Probed, probe
from llmspell_providers.http.servers import Server, Servers
from llmspell_providers.remote.dialect import Dialect, Ending, Listed, Sampling
from llmspell_providers.remote.failures import Place, failure_of, stream_failure, unavailable, unsendable_key
from llmspell_providers.remote.quick_list import quick_list
from llmspell_providers.remote.report import demand_package, local_model, model_info, result_of, summary
from llmspell_providers.remote.sampling import sampling_of
from llmspell_providers.remote.stream import Stream
from llmspell_providers.remote.text_requests import TextRequests, server_name
from llmspell_providers.remote.vendors import Vendor
from llmspell_providers.spec import ModelSpec
from llmspell_providers.token_estimate import estimated_prompt_tokens

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CloudSettings
    from llmspell_protocol.areas.model import DamagedModel

PROBE_DEADLINE_S = 1.0
_NAMES_SHOWN = 8

T = TypeVar("T")


class RemoteProvider(TextRequests):
    """A backend behind HTTP; belongs to one event loop. `find_key` may block: it is called on a thread."""

    def __init__(
        self,
        name: str,
        settings: CloudSettings,
        vendor: Vendor,
        base_urls: Sequence[str],
        dialect: Dialect,
        find_key: Callable[[], str | None],
    ) -> None:
        super().__init__(name, vendor.capabilities, dialect)
        self._settings = settings
        self._vendor = vendor
        self._servers = Servers(base_urls)
        self._find_key = find_key
        self._key: str | None = None
        self._importing = asyncio.Lock()
        self._is_loaded = False
        self._attempts = Attempts(name, settings, self._servers)

    async def demand_configured(self) -> None:
        """Raises `ConfigError` where the vendor needs a key and there is none."""
        await self._credentials()

    async def health(self) -> HealthStatus:
        """Asks every server for its list of models, side by side; a key that is missing is asked nothing."""
        servers = self._servers.all
        try:
            demand_package(self._dialect.package, self.name)
            key = await self._credentials()
        except ConfigError as error:
            return summary(servers, [Probed(error.details.get("reason", error.message))])
        headers = {} if key is None else self._dialect.headers(key)
        answers = await asyncio.gather(
            *(
                probe(server.address, headers=headers, lists=self._lists, deadline_s=PROBE_DEADLINE_S)
                for server in servers
            )
        )
        return summary(servers, answers)

    async def list_models(self) -> list[LocalModel]:
        """What the server offers; raises `BackendUnavailable`, or `Unsupported` where a vendor has no list."""
        return [local_model(one, backend=self.name) for one in await self._listed()]

    async def offered(self, deadline_s: float) -> list[LocalModel]:
        """The same for people who look, who wait no longer than that; names say whose they are."""
        self._capabilities.demand("list", self.name)
        key, server = await self._credentials(), self._servers.choose()
        try:
            return await quick_list(server, self._dialect, key, backend=self.name, deadline_s=deadline_s)
        except ProbeFailed as error:
            raise unavailable(self._place(server, None), str(error)) from None

    async def damaged(self) -> list[DamagedModel]:
        """Nothing: its files are not ours."""
        return []

    async def find(self, spec: ModelSpec) -> FoundModel | None:
        """The model, if the server lists it."""
        name = server_name(spec)
        return FoundModel() if any(one.id == name for one in await self._listed()) else None

    async def resolve(self, spec: ModelSpec) -> FoundModel:
        """What the name means is the server's to say when it is asked to answer, and so is the template."""
        return FoundModel()

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """What the server's list tells of a model, or only its name where there is no list."""
        name = server_name(spec)
        if not self._lists:
            return self._described(Listed(id=name))
        listed = await self._listed()
        found = next((one for one in listed if one.id == name), None)
        if found is None:
            some = ", ".join(one.id for one in listed[:_NAMES_SHOWN])
            raise ModelNotFound(
                f"Model '{name}' not found at {self.name} ({self._servers.all[0].shown})",
                hint=f"it has {some}{', …' if len(listed) > _NAMES_SHOWN else ''}" if listed else "it has none",
                details={"model": name, "backend": self.name},
            )
        return self._described(found)

    async def chat(
        self, spec: ModelSpec, request: ChatRequest, *, client: str, found: FoundModel | None = None
    ) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk carries the result.

        A request that fails before its first piece is sent again, elsewhere or later; after that it is an error.
        """
        began = time.monotonic()
        name = server_name(spec)
        deadline = self._deadline(name)
        await self._ready()
        sampling = sampling_of(request.options, self._settings)
        body = self._dialect.body(name, request, sampling)

        async def open_stream(server: Server) -> Stream:
            return await self._open(server, name, body, sampling)

        tokens = estimated_prompt_tokens(request) + int(sampling.values.get("max_tokens", USUAL_REPLY_TOKENS))
        stream, spent = await self._attempts.run(open_stream, deadline, tokens=tokens)
        try:
            event = stream.first
            while event is not None:
                with self._failures(stream.server, name):
                    chunk = stream.gathered.take(event)
                if chunk is not None:
                    yield chunk
                event = await self._next(stream, deadline)
        finally:
            await stream.close()
        with self._failures(stream.server, name):
            last, ending = stream.gathered.rest(), stream.gathered.ending()
        if last is not None:
            yield last
        counted = ending.usage.prompt_tokens + ending.usage.completion_tokens
        if spent is not None and counted:
            spent.tokens = counted
        self._check_ending(ending, stream.server, name)
        if ending.message.tool_calls:
            yield ChatChunk(tool_calls=ending.message.tool_calls)
        yield ChatChunk(result=result_of(ending, name, self.name, queue_ms=(stream.opened_at - began) * 1000))

    async def close(self) -> None:
        """Closes the connections."""
        clients = [server.client for server in self._servers.all if server.client is not None]
        for server in self._servers.all:
            server.client = None
        await asyncio.gather(*(client.close() for client in clients))

    async def _listed(self) -> list[Listed]:
        self._capabilities.demand("list", self.name)
        return await self._answer(self._dialect.models, None)

    async def _answer(self, ask: Callable[[Any], Awaitable[T]], name: str | None, *, tokens: int = 0) -> T:
        """What a server answers to a call that is no stream."""
        deadline = self._deadline(name)
        await self._ready()

        async def ask_server(server: Server) -> T:
            with self._failures(server, name), server.busy():
                return await ask(self._client(server))

        answer, _ = await self._attempts.run(ask_server, deadline, tokens=tokens)
        return answer

    def _deadline(self, name: str | None) -> Deadline:
        seconds = self._settings.timeout_seconds
        return Deadline(asyncio.get_running_loop().time() + seconds, seconds, self.name, name)

    async def _ready(self) -> None:
        """Makes sure of the package and of the key."""
        await self._credentials()
        async with self._importing:
            if self._is_loaded:
                return
            try:
                await asyncio.to_thread(self._dialect.load)
            except (ImportError, AttributeError, TypeError, ValueError, OSError, RuntimeError) as error:
                # A package that is there may still fail: by its own version, another's, or the environment.
                package = self._dialect.package
                missing = isinstance(error, ModuleNotFoundError) and error.name == package
                what = "which is not installed" if missing else "which can't be imported"
                raise ConfigError(
                    f"provider '{self.name}' needs the package '{package}', {what} ({error})",
                    hint=install_command(package, upgrade=not missing),
                    details={"backend": self.name, "package": package},
                ) from None
            self._is_loaded = True

    async def _credentials(self) -> str | None:
        """The key; looked for again until there is one, so that one stored meanwhile counts."""
        if self._key is None:
            self._key = await asyncio.to_thread(self._find_key)
        if self._key is None and self._vendor.needs_key:
            reason = f"no credentials ({self._variable} is not set, no key stored)"
            raise ConfigError(
                f"provider '{self.name}' has no API key: {self._variable} is not set, and none is stored",
                hint=f"llmspell keys add {self.name}",
                details={
                    "backend": self.name,
                    "key": f"providers.{self.name}.api_key",
                    "variable": self._variable,
                    "reason": reason,
                },
            )
        if self._key is not None and not re.fullmatch(r"[\x21-\x7e]+", self._key):
            self._key = None
            raise unsendable_key(self.name, self._variable)
        return self._key

    @property
    def _variable(self) -> str:
        if self._settings.api_key_env:
            return self._settings.api_key_env
        if not self._vendor.needs_key:
            return f"LLMSPELL_{self.name.upper().replace('-', '_')}_API_KEY"
        return KEY_VARIABLES[self._settings.provider_type]

    def _client(self, server: Server) -> Any:
        if server.client is None:
            server.client = self._dialect.client(server.address, self._key)
        elif self._key is not None:
            server.client.api_key = self._key
        return server.client

    async def _open(self, server: Server, name: str, body: dict[str, Any], sampling: Sampling) -> Stream:
        """A stream whose first event is there: a server that fails before that has said nothing yet."""
        with self._failures(server, name), server.busy():
            answer = await self._dialect.open(self._client(server), body, sampling)
            stream = Stream(server, answer, self._dialect.gathered(sampling))
            try:
                stream.first = await self._event(stream, name)
                if stream.first is None:
                    raise unavailable(self._place(server, name), "it answers with something else than a stream")
            except BaseException:
                await stream.close()
                raise
        return stream

    async def _next(self, stream: Stream, deadline: Deadline) -> Any:
        # Around each step, not around the loop: a timeout must not strike while the reader of the chunks is at work.
        try:
            with self._failures(stream.server, deadline.model):
                async with asyncio.timeout(deadline.seconds):
                    return await self._event(stream, deadline.model)
        except TimeoutError:
            self._servers.failed(stream.server)
            raise deadline.passed(stream.server) from None

    async def _event(self, stream: Stream, name: str | None) -> Any:
        while (event := await stream.event()) is None and not stream.ended:
            pass  # Some servers send null to keep a connection open.
        body = None if event is None else stream.gathered.error(event)
        if body is not None:
            raise stream_failure(body, self._place(stream.server, name))
        return event

    def _check_ending(self, ending: Ending, server: Server, name: str) -> None:
        if ending.filtered:
            raise ModelError(
                f"{self.name} cut the reply of '{name}': its content filter",
                hint="the request as it is will be refused again",
                details={"backend": self.name, "model": name, "text": ending.message.content},
            )
        if ending.finish_reason is None:
            raise unavailable(self._place(server, name), "the stream ended in the middle of the reply")

    @contextmanager
    def _failures(self, server: Server, name: str | None) -> Iterator[None]:
        """Turns what the package, its HTTP library and its JSON parser raise into ours."""
        # Comes with either package, and is what both let through in the middle of a stream.
        import httpx2

        try:
            yield
        except (self._dialect.sdk.APIError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            failure = failure_of(error, self._dialect.sdk, self._place(server, name))
            if isinstance(failure, Unauthorized):
                # Looked for again at the next request: a better one counts without a new start of the kernel.
                self._key = None
            raise failure from None

    @property
    def _lists(self) -> bool:
        return "list" not in self._capabilities.lacks

    def _described(self, listed: Listed) -> ModelInfo:
        return model_info(listed, self._capabilities, backend=self.name, source=self._servers.all[0].shown)

    def _place(self, server: Server, name: str | None) -> Place:
        def by_proxy(reason: str) -> str:
            # Imported by now, with the client.
            from llmspell_providers.http.client import with_the_proxy

            return with_the_proxy(server.address, reason)

        return Place(self.name, server.shown, name, self._key, self._variable, by_proxy)

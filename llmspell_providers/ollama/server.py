"""One Ollama server: whether it is there and new enough, its lists, its client, and what goes wrong with it.

A good answer to "which Ollama are you?" is trusted for a while; a failure ends the trust at once. Lists go over
plain GETs, since the official package takes 0.4 s to import. Knows no models and no replies.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_protocol.errors import BackendUnavailable, LlmspellError
from llmspell_providers.http.get_json import Answer, ProbeFailed, get_json
from llmspell_providers.http.servers import shown_url

if TYPE_CHECKING:
    from ollama import AsyncClient

    from llmspell_providers.ollama.daemon import OllamaDaemon

PROBE_DEADLINE_S = 1.0
_CONNECT_DEADLINE_S = 5.0
OLDEST = (0, 12, 6)
"""The first release after https://github.com/ollama/ollama/pull/12582: older ones ignore `truncate` and `shift`."""
_FOREIGN = "something else than Ollama answers there"
REFUSED = "connection refused"


class Version(NamedTuple):
    """What the server says of itself, and how long that took."""

    number: str
    latency_ms: float


class OllamaServer:
    """The server of one provider; belongs to one event loop. `daemon` starts it when it is down and may be started."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        trusted_s: float,
        daemon: OllamaDaemon | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._name = name
        self._trusted_s = trusted_s
        self._daemon = daemon
        self._clock = clock
        self._trusted_until = float("-inf")
        self._client: AsyncClient | None = None

    async def version(self) -> Version:
        """Asks which Ollama it is; raises `BackendUnavailable`, also for one that is too old."""
        answer = await self._get("/api/version")
        number = answer.content.get("version") if isinstance(answer.content, dict) else None
        if not isinstance(number, str):
            raise self.unavailable(_FOREIGN)
        if _is_too_old(number):
            oldest = ".".join(map(str, OLDEST))
            raise self.unavailable(
                f"its version {number} is too old, {oldest} or later is needed", hint="llmspell model install-ollama"
            )
        self._trusted_until = self._clock() + self._trusted_s
        return Version(number, answer.latency_ms)

    async def ready(self) -> None:
        """Makes sure that Ollama answers, starting it where that is allowed; raises `BackendUnavailable`."""
        has_died = self._daemon is not None and self._daemon.has_died
        if self._clock() < self._trusted_until and not has_died:
            return
        try:
            await self.version()
        except BackendUnavailable as error:
            if self._daemon is None or error.details["reason"] != REFUSED:
                raise
            await self._daemon.start(self.version)

    async def models(self, path: str) -> list[Mapping[str, Any]]:
        """The entries of `/api/tags` or `/api/ps`; raises `BackendUnavailable`."""
        answer = await self._get(path)
        models = answer.content.get("models") if isinstance(answer.content, dict) else None
        if not isinstance(models, list) or not all(
            isinstance(one, dict) and isinstance(one.get("name"), str) for one in models
        ):
            raise self.unavailable(_FOREIGN)
        return models

    async def package(self) -> AsyncClient:
        """The official package's client."""
        if self._client is None:
            # On a thread, so that the kernel's loop goes on while half a second of code is imported.
            module = await asyncio.to_thread(importlib.import_module, "llmspell_providers.ollama.client")
            self._client = self._client or module.uncut_client(self.base_url, connect_deadline_s=_CONNECT_DEADLINE_S)
        return self._client

    @contextmanager
    def failures(self, said: Callable[[str, int], LlmspellError]) -> Iterator[None]:
        """Turns what the package, its HTTP library and their parsers raise into ours.

        `said` makes the error for a text and a status of the server; -1: in the middle of a stream.
        """
        # Imported by now, with the client.
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise said(error.error, error.status_code) from None
        except (ConnectionError, httpx.HTTPError, httpx.InvalidURL) as error:
            refused = isinstance(error, ConnectionError | httpx.ConnectError)
            reason = REFUSED if refused else str(error) or type(error).__name__
            raise self.unavailable(reason) from None
        except (ValueError, TypeError, AttributeError):
            # No JSON, JSON of another form, or text that is not UTF-8: all that a foreign server may send.
            raise self.unavailable(_FOREIGN) from None

    def unavailable(self, reason: str, *, hint: str = "") -> BackendUnavailable:
        """The error for a server that does not answer as Ollama should; ends the trust in it.

        One that is down is not worth a retry: it has to be started.
        """
        self._trusted_until = float("-inf")
        shown = shown_url(self.base_url)
        return BackendUnavailable(
            f"{self._name}: no answer from {shown} ({reason})",
            hint=hint or "ollama serve, or llmspell model install-ollama",
            details={"backend": self._name, "base_url": shown, "reason": reason},
            retryable=reason != REFUSED,
        )

    async def close(self) -> None:
        """Closes the connections and ends the daemon if it was started here."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None
        if self._daemon is not None:
            await self._daemon.stop()

    async def _get(self, path: str) -> Answer:
        try:
            return await get_json(self.base_url, path, deadline_s=PROBE_DEADLINE_S)
        except ProbeFailed as error:
            raise self.unavailable(str(error)) from None


def _is_too_old(number: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", number)
    # Builds of one's own call themselves 0.0.0.
    return found is not None and (0, 0, 0) < tuple(int(part) for part in found.groups()) < OLDEST

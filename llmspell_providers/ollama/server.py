"""One Ollama server: whether it is there and new enough, its lists, its client, and what goes wrong with it.

A good answer to "which Ollama are you?" is trusted for a while; a failure ends the trust at once. Lists go over
plain GETs, which import no HTTP library. Knows no models and no replies.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import BackendUnavailable, ConfigError, LlmspellError
from llmspell_providers.http.bounded import TooLong, Undecodable
from llmspell_providers.http.fields import Misshapen, records
from llmspell_providers.http.get_json import Answer, ProbeFailed, get_json

if TYPE_CHECKING:
    from llmspell_providers.ollama.client import OllamaClient
    from llmspell_providers.ollama.daemon import OllamaDaemon

PROBE_DEADLINE_S = 1.0
OLDEST = (0, 12, 6)
"""The first release after https://github.com/ollama/ollama/pull/12582: older ones ignore `truncate` and `shift`."""
FOREIGN = "something else than Ollama answers there"
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
        self.address = parse_address(base_url)
        self._name = name
        self._trusted_s = trusted_s
        self._daemon = daemon
        self._clock = clock
        self._trusted_until = float("-inf")
        self._client: OllamaClient | None = None

    async def version(self) -> Version:
        """Asks which Ollama it is; raises `BackendUnavailable`, also for one that is too old."""
        answer = await self._get("/api/version")
        number = answer.content.get("version") if isinstance(answer.content, dict) else None
        if not isinstance(number, str):
            raise self.unavailable(FOREIGN)
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
        if not isinstance(answer.content, dict) or "models" not in answer.content:
            raise self.unavailable(FOREIGN)
        try:
            models = [one for one in records(answer.content["models"], "models") if one]
        except Misshapen:
            raise self.unavailable(FOREIGN) from None
        if not all(isinstance(one.get("name"), str) and one["name"] for one in models):
            raise self.unavailable(FOREIGN)
        return models

    async def client(self) -> OllamaClient:
        """What asks it for replies; raises `ConfigError` where the environment leaves no way to make it."""
        if self._client is None:
            # On a thread, so that the kernel's loop goes on meanwhile: 0.1 s.
            module = await asyncio.to_thread(importlib.import_module, "llmspell_providers.ollama.client")
            self._client = self._client or module.OllamaClient(self.address)
        assert self._client is not None
        return self._client

    @contextmanager
    def failures(self, said: Callable[[str, int], LlmspellError]) -> Iterator[None]:
        """Turns what the client, its HTTP library and the readers of replies raise into ours.

        `said` makes the error for a text and a status of the server; -1: in the middle of a stream.
        """
        # Imported by now, with the client.
        import httpx2

        from llmspell_providers.http.client import Redirected, with_the_proxy
        from llmspell_providers.http.reasons import reason_of
        from llmspell_providers.ollama.client import Refused

        try:
            yield
        except Refused as error:
            raise said(error.text, error.status) from None
        except Redirected as error:
            raise self.unavailable(str(error), retryable=False) from None
        except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            if isinstance(error, TimeoutError):
                raise
            raise self.unavailable(with_the_proxy(self.address, reason_of(error))) from None
        except (TooLong, Undecodable) as error:
            raise self.unavailable(str(error)) from None
        except (ValueError, RecursionError) as error:
            # No JSON, JSON of another form, or more than a reply can be: all that a foreign server may send.
            raise self.unavailable(FOREIGN, why=str(error)) from None

    def unavailable(
        self, reason: str, *, hint: str = "", why: str = "", retryable: bool | None = None
    ) -> BackendUnavailable:
        """The error for a server that does not answer as Ollama should; ends the trust in it.

        One that is down is not worth a retry: it has to be started. `why` goes into the details.
        """
        self._trusted_until = float("-inf")
        shown = self.address.url
        return BackendUnavailable(
            f"{self._name}: no answer from {shown} ({reason})",
            hint=hint or "ollama serve, or llmspell model install-ollama",
            details={"backend": self._name, "base_url": shown, "reason": reason} | ({"why": why} if why else {}),
            retryable=reason != REFUSED if retryable is None else retryable,
        )

    async def close(self) -> None:
        """Closes the connections and ends the daemon if it was started here."""
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._daemon is not None:
            await self._daemon.stop()

    async def _get(self, path: str) -> Answer:
        try:
            return await get_json(self.address, path, deadline_s=PROBE_DEADLINE_S)
        except ProbeFailed as error:
            raise self.unavailable(str(error), retryable=None if error.again else False) from None
        except ConfigError as error:
            error.details |= {"backend": self._name, "reason": error.message}
            raise


def _is_too_old(number: str) -> bool:
    found = re.match(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", number)
    # Builds of one's own call themselves 0.0.0.
    return found is not None and (0, 0, 0) < tuple(int(part) for part in found.groups()) < OLDEST

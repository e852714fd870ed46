"""Requests over HTTP for tools: each hop checked, its size and its time bounded, nothing read from the environment.

Redirects are followed here and not by the client, since every hop is a host of its own that has to be allowed, and no
header of the caller that could be a secret goes to another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from llmspell_protocol.errors import Forbidden, InvalidRequest, Timeout
from llmspell_tools.limits.addresses import WebAddress, web_address
from llmspell_tools.limits.answers import Answer
from llmspell_tools.limits.pace import PACE
from llmspell_tools.outcome import ToolFailure

if TYPE_CHECKING:
    import httpx2

    from llmspell_tools.limits.connections import Deadline

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TO_ANY_HOST = frozenset(
    {"accept", "accept-charset", "accept-encoding", "accept-language", "content-type", "user-agent", "cache-control"}
)
"""Headers that no secret stands in: these alone go on to another host."""
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
"""Headers that are made of the URL and the body, so that a request is what it looks like."""
_PROGRESS_BYTES = 1 << 20
"""So many bytes of an answer are told at a time."""
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})


@dataclass(frozen=True)
class Retry:
    """When a request is made again: after failures of the connection, and after answers with one of `statuses`.

    By itself a request that changes something is made again only where it can't have arrived; `every_method` is for
    callers that ask for more.
    """

    attempts: int = 1
    initial_s: float = 0.2
    longest_s: float = 5.0
    factor: float = 2.0
    statuses: Collection[int] = frozenset({429, 502, 503, 504})
    every_method: bool = False

    def waits_s(self, attempt: int) -> float:
        """How long to wait after an attempt, counted from 1."""
        return min(self.longest_s, self.initial_s * self.factor ** (attempt - 1))


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a request is held to. `headers` are those of the settings; the size is of a body, sent or decoded."""

    time_s: float
    time_setting: str
    largest_bytes: int
    max_redirects: int
    verify: bool
    retry: Retry
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    """Between two requests to one host"""


class Web:
    """A client for the requests of one call. `check` gives the addresses that a host may be reached at."""

    def __init__(
        self,
        check: Callable[[str, int], Sequence[str]],
        bounds: Bounds,
        on_progress: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._check = check
        self._bounds = bounds
        self._on_progress = on_progress

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        retry: Retry | None = None,
        time_s: float | None = None,
    ) -> Answer:
        """Does a request and follows its redirects; whatever the status says, there is an answer.

        `headers` go before those of the settings; `time_s` can only shorten what the settings allow.

        Raises:
            Forbidden: a host on the way is not allowed, or a body is larger than the settings allow.
            InvalidRequest: URL, method or headers make no request.
            Timeout: it took too long.
            ToolFailure: there is no such host, the connection failed, or what came is no answer.
        """
        address = web_address(url)
        method = method.upper()
        self._demand_size(len(body), f"the body of the request to {address.host}")
        sent = _merged(self._bounds.headers, headers or {})
        return self._tried(method, address, sent, body, retry or self._bounds.retry, time_s)

    def _tried(
        self,
        method: str,
        address: WebAddress,
        headers: Mapping[str, str],
        body: bytes,
        retry: Retry,
        time_s: float | None,
    ) -> Answer:
        # The HTTP libraries take 0.1 s to import.
        import httpcore2
        import httpx2

        from llmspell_tools.limits.connections import CheckedTransport, Deadline

        bounds = self._bounds
        deadline = Deadline(min(time_s or bounds.time_s, bounds.time_s))
        began = time.perf_counter()
        may_repeat = retry.every_method or method in _REPEATABLE
        attempt = 0
        # None: certificates are loaded where the first connection of TLS needs them.
        unchecked = None if bounds.verify else httpx2.create_ssl_context(verify=False)
        transport = CheckedTransport(self._check, deadline, unchecked)
        with httpx2.Client(transport=transport, trust_env=False, timeout=None) as client:
            client.headers.clear()  # What is sent is said here.
            while True:
                attempt += 1
                wait_s = retry.waits_s(attempt)
                try:
                    answer = self._followed(client, deadline, method, address, headers, body)
                except httpcore2.TimeoutException:
                    raise self._late(method, address, deadline) from None
                except httpcore2.LocalProtocolError as error:
                    raise InvalidRequest(f"{method} {address.shown} can't be sent: {error}") from None
                except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.DecodingError) as error:
                    never_arrived = isinstance(error, httpcore2.ConnectError)
                    again = (may_repeat or never_arrived) and attempt < retry.attempts and wait_s < deadline.left_s
                    if not again or _is_of_trust(error):
                        raise _failure(address, error, attempt) from None
                else:
                    asked_s = answer.retry_after_s
                    wait_s = wait_s if asked_s is None else min(max(asked_s, wait_s), retry.longest_s)
                    again = may_repeat and answer.status in retry.statuses and attempt < retry.attempts
                    if not again or wait_s >= deadline.left_s:
                        answer.attempts = attempt
                        answer.duration_ms = round((time.perf_counter() - began) * 1000, 3)
                        return answer
                time.sleep(wait_s)

    def _followed(
        self,
        client: httpx2.Client,
        deadline: Deadline,
        method: str,
        address: WebAddress,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        passed: list[WebAddress] = []
        while True:
            PACE.wait(address.host, self._bounds.pause_s, deadline.left_s)
            answer = self._answer(client, method, address, headers, body)
            answer.redirects = tuple(one.url for one in passed)
            target = answer.header("location")
            if answer.status not in _REDIRECTS or target is None or not self._bounds.max_redirects:
                return answer
            passed.append(address)
            if len(passed) > self._bounds.max_redirects:
                raise ToolFailure(
                    f"{passed[0].shown} redirects more than {self._bounds.max_redirects} times, "
                    f"last to {_shown(target)}"
                )
            following = _redirected(address, target)
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
                headers = {name: value for name, value in headers.items() if name.lower() not in _OF_THE_BODY}
            if following.origin != address.origin:
                headers = {name: value for name, value in headers.items() if name.lower() in _TO_ANY_HOST}
            address = following

    def _answer(
        self, client: httpx2.Client, method: str, address: WebAddress, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        request = client.build_request(method, address.url, headers=dict(headers), content=body or None)
        response = client.send(request, stream=True)
        try:
            announced = response.headers.get("content-length", "")
            if method != "HEAD" and announced.isdecimal():
                self._demand_size(int(announced[:30]), f"the answer of {address.host}")
            content = bytearray()
            told = 0
            for piece in response.iter_bytes():
                content += piece
                self._demand_size(len(content), f"the answer of {address.host}", so_far=True)
                if self._on_progress is not None and len(content) - told >= _PROGRESS_BYTES:
                    told = len(content)
                    self._on_progress(f"{told:,} bytes of {address.host}", {"bytes": told})
        finally:
            response.close()
        return Answer(
            method=method,
            url=address.url,
            status=response.status_code,
            reason=response.reason_phrase,
            headers=tuple((name.lower(), value) for name, value in response.headers.multi_items()),
            content=bytes(content),
        )

    def _demand_size(self, size: int, what: str, *, so_far: bool = False) -> None:
        limit = self._bounds.largest_bytes
        if size > limit:
            setting = "tools.http_request.max_request_size"
            raise Forbidden(
                f"{what} has {'more than ' if so_far else ''}{limit if so_far else size:,} bytes"
                + ("" if so_far else f", more than {limit:,}"),
                hint=f"raise {setting}",
                details={"limit_bytes": limit, "setting": setting},
            )

    def _late(self, method: str, address: WebAddress, deadline: Deadline) -> Timeout:
        return Timeout(
            f"{method} {address.shown} timed out after {deadline.seconds:g}s",
            hint=f"give it more time (timeout, up to {self._bounds.time_setting} = {self._bounds.time_s:g})",
            details={"timeout_s": deadline.seconds, "setting": self._bounds.time_setting},
        )


def checked_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers of a caller as they can be sent.

    Raises:
        InvalidRequest: one is made of the URL and the body, or can't stand in a request.
    """
    checked = {}
    for name, value in headers.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if name.lower() in _OURS:
            raise InvalidRequest(f"header '{name}' is made of the URL and the body, and can't be given")
        if not name.isascii() or not name or any(sign in "\r\n\0" for sign in name + text):
            raise InvalidRequest(f"header {name!r} has a line end or a zero byte in it, or no name")
        checked[name] = text
    return checked


def _merged(first: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """All headers; those of `over` take the place of those of `first`, whatever their case."""
    merged = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    for name, value in (*first.items(), *checked_headers(over).items()):
        merged = {old: text for old, text in merged.items() if old.lower() != name.lower()}
        merged[name] = value
    return merged


def _redirected(address: WebAddress, target: str) -> WebAddress:
    try:
        return web_address(urljoin(address.url, target))
    except (InvalidRequest, ValueError) as error:
        raise ToolFailure(f"{address.shown} redirects to {_shown(target)}, which is not followed: {error}") from None


def _shown(target: str) -> str:
    """Where a redirect leads, without a query."""
    return repr(target.partition("?")[0][:200])


def _is_of_trust(error: Exception) -> bool:
    """Whether a connection failed by its certificate, which is no better the next time."""
    import ssl

    return bool(error.args) and isinstance(error.args[0], ssl.SSLError)


def _failure(address: WebAddress, error: Exception, attempts: int) -> ToolFailure:
    import ssl

    import httpcore2
    import httpx2

    times = f" ({attempts} attempts)" if attempts > 1 else ""
    place = f"{address.host}:{address.port}"
    if isinstance(error, httpcore2.ConnectError):
        cause = error.args[0] if error.args else error
        why = str(cause if isinstance(cause, ssl.SSLError) else getattr(cause, "strerror", None) or cause)
        return ToolFailure(f"can't connect to {place}: {why[:1].lower()}{why[1:]}{times}", code="unavailable")
    if isinstance(error, httpx2.DecodingError):
        return ToolFailure(f"the answer of {place} is not in the encoding that it names: {error}{times}")
    return ToolFailure(f"the connection to {place} broke: {error or type(error).__name__}{times}", code="unavailable")

"""How we talk to the Hugging Face hub: its library's client with our rules on it, and its errors as a source's reasons.

Knows statuses, tokens and waiting; not what a repository holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmspell_protocol.errors import Forbidden, LlmspellError, RateLimited, SourceUnavailable, Unauthorized
from llmspell_protocol.plain_reasons import plain_reason
from llmspell_providers.http.backoff import retry_after_s
from llmspell_providers.http.bodies import without_body
from llmspell_providers.pulls.sources.destinations import check_request
from llmspell_providers.pulls.sources.pull_directory import is_full
from llmspell_providers.pulls.sources.remote import SourceFailed

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

LONGEST_WAIT_S = 60.0
"""A server that asks for a longer pause ends the pull, with an error that says so."""
_WAITS = 5
_MAX_REQUESTS = 200
_LONGEST_REASON = 300
_TOKEN_HINT = "set HF_TOKEN where the kernel runs, or llmspell keys add huggingface"


class TooManyRequests(Exception):
    """The hub answered 429; `asked_s` is its Retry-After."""

    def __init__(self, asked_s: float | None) -> None:
        super().__init__("too many requests")
        self.asked_s = asked_s


class PullStopped(Exception):
    """Another file of the pull has failed, so this one stops."""


class Waiting:
    """Back-off that the hub asks for, up to a number and a length of pauses; `stopped` ends one."""

    def __init__(self, note: Callable[[str], None], stopped: threading.Event | None = None) -> None:
        self._note = note
        self._stopped = stopped or threading.Event()
        self._count = 0

    def obey(self, asked_s: float | None) -> None:
        """Waits as long as the server demands; without a number twice as long each time.

        Raises:
            SourceFailed: the pause is too long, or one too many.
            PullStopped: meanwhile the rest of the pull failed.
        """
        pause_s = asked_s if asked_s is not None else 2.0**self._count
        self._count += 1
        if pause_s > LONGEST_WAIT_S or self._count > _WAITS:
            when = f"in {pause_s:.0f} s" if asked_s is not None else "later"
            raise SourceFailed(
                f"the hub allows no more requests for now (HTTP 429): try again {when}",
                kind=RateLimited,
                hint=f"try again {when}; with a token (HF_TOKEN) the hub allows more",
                details={"retry_after_s": asked_s},
            )
        self._note(f"the hub allows no more requests for now: going on in {pause_s:.0f} s")
        if self._stopped.wait(pause_s):
            raise PullStopped


class HubClient:
    """The library's HTTP client of this process, with rules: no plain http, no endless requests, no hidden waits."""

    def __init__(self, stopped: threading.Event) -> None:
        # Only pulls from the hub need the library; it takes half a second.
        import httpx2
        from huggingface_hub import constants, set_client_factory

        # Every byte that has come is written at once: a killed process loses none, and progress does not stand still.
        constants.DOWNLOAD_CHUNK_SIZE = None  # type: ignore[assignment]
        self._stopped = stopped
        self._requests = threading.local()
        set_client_factory(
            lambda: httpx2.Client(
                follow_redirects=True,
                timeout=None,
                event_hooks={"request": [self._may_go], "response": [_look_at]},
            )
        )

    def begin(self) -> None:
        """Counts this thread's requests from here on."""
        self._requests.count = 0

    def _may_go(self, request: httpx2.Request) -> None:
        if self._stopped.is_set():
            raise PullStopped
        check_request(request.url.scheme, request.url.host, urlsplit(endpoint()).hostname or "")
        self._requests.count = getattr(self._requests, "count", 0) + 1
        if self._requests.count > _MAX_REQUESTS:
            raise SourceFailed("the connection breaks again and again", interrupted=True)


def _look_at(response: httpx2.Response) -> None:
    if response.status_code >= 300:
        # The library, and the client below it, would read an error's or a redirect's body to its end.
        without_body(response)
    # The library would wait by itself: as long as the server likes, unseen and not to be cancelled.
    if response.status_code == 429:
        raise TooManyRequests(retry_after_s(response.headers))


def require_sound_token() -> None:
    """Looks at the token before it is sent: the text of the error that comes otherwise may hold it.

    Raises:
        SourceFailed: it has characters that a header cannot carry.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is not None and not (token.isascii() and token.isprintable()):
        raise _refused(Unauthorized, "the token has characters that no token has", _TOKEN_HINT)


def answered(question: Callable[[], Any], what: str, waiting: Waiting) -> Any:
    """The hub's answer about `what`.

    Raises:
        SourceFailed: it has none, or does not give it.
    """
    while True:
        try:
            with reasons(what):
                return question()
        except TooManyRequests as error:
            waiting.obey(error.asked_s)


@contextmanager
def reasons(what: str) -> Iterator[None]:
    """Turns what the library raises about `what` (a repository or a file of one) into a source's reasons."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.HfHubHTTPError as error:
        raise refusal(error, what) from None
    except errors.HFValidationError as error:
        raise SourceFailed(f"{what}: {first_line(error)}", missing=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise
        raise SourceFailed(f"{what}: {first_line(error)}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceFailed(
            f"{what}: {endpoint()} does not answer like a Hugging Face hub ({first_line(error)})",
            hint="check HF_ENDPOINT",
            kind=SourceUnavailable,
        ) from None


def refusal(error: HfHubHTTPError, what: str) -> SourceFailed:
    """Why the hub does not give something."""
    from huggingface_hub import errors, get_token

    status = error.response.status_code
    has_token = get_token() is not None
    if isinstance(error, errors.GatedRepoError):
        return gated(what, has_token=has_token)
    if isinstance(error, errors.RepositoryNotFoundError):
        maybe = "this token may not see it" if has_token else "it needs a token"
        return SourceFailed(
            f"{what}: {endpoint()} has no such repository, or it is private and {maybe}",
            missing=True,
            hint="check the name" if has_token else f"check the name; for a private repository {_TOKEN_HINT}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceFailed(f"{what}: no such revision", missing=True, hint="name a branch, a tag or a commit")
    if isinstance(error, errors.EntryNotFoundError):
        return SourceFailed(f"{what}: no such file", missing=True)
    if not _is_of_hub(error):
        return SourceFailed(f"{what}: HTTP {status} from {error.response.url.host}", missing=status == 404)
    if status == 401:
        reason = f"{what}: {endpoint()} does not accept the token, which may be misspelt or expired"
        return _refused(Unauthorized, reason, _TOKEN_HINT)
    if status == 403:
        return _refused(
            Forbidden,
            f"{what}: the token may not read this on {endpoint()}",
            "give the token the right to read this repository, or take another one",
        )
    return SourceFailed(f"{what}: HTTP {status}", missing=status == 404)


def gated(what: str, *, has_token: bool) -> SourceFailed:
    """The reason for a repository whose owners want their terms accepted first."""
    repository = "/".join(what.split("@")[0].split("/")[:2])
    page = f"{endpoint()}/{repository}"
    if has_token:
        return _refused(Forbidden, f"{what} is gated, and the token has no access", f"ask for access at {page}")
    return _refused(
        Unauthorized, f"{what} is gated, and there is no token", f"accept its terms at {page}, then {_TOKEN_HINT}"
    )


def endpoint() -> str:
    """The hub's address."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return plain_reason((str(error).splitlines() or [""])[0][:_LONGEST_REASON]) or type(error).__name__


def _refused(kind: type[LlmspellError], reason: str, hint: str) -> SourceFailed:
    return SourceFailed(reason, kind=kind, hint=hint)


def _is_of_hub(error: HfHubHTTPError) -> bool:
    return str(error.response.url).startswith(endpoint())

"""Whether a server answers, without ever running a model: its list of models, or just any answer at all.

A plain socket where possible, so that `model status` imports no HTTP library; through a proxy it takes httpx2.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from llmspell_protocol.loopback import is_loopback
from llmspell_providers.http.get_json import Answer, ProbeFailed, get_json


class Probed(NamedTuple):
    """What a server answered: `models` None where it has no list; `reason` None where it can be used."""

    reason: str | None
    models: int | None = None
    latency_ms: float | None = None


def is_near(url: str) -> bool:
    """Whether a URL means this machine; such a server is never asked through a proxy."""
    return is_loopback(urlsplit(url).hostname or "")


async def probe(base_url: str, *, headers: Mapping[str, str], lists: bool, deadline_s: float) -> Probed:
    """Asks for the list of models; a server without one only has to answer, and is sent no key."""
    began = time.monotonic()
    try:
        ask = _through_proxy if _is_proxied(base_url) else get_json
        answer: Answer = await ask(base_url, "/models", deadline_s=deadline_s, headers=headers if lists else {})
    except ProbeFailed as error:
        return _without_list(error, (time.monotonic() - began) * 1000, lists=lists)
    content: Any = answer.content
    models = content.get("data") if isinstance(content, dict) else None
    if not isinstance(models, list):
        # Some vendors answer with the bare list.
        models = content if isinstance(content, list) else None
    if models is None and lists:
        return Probed("something else than a model server answers there")
    return Probed(None, None if models is None else len(models), answer.latency_ms)


def _without_list(error: ProbeFailed, latency_ms: float, *, lists: bool) -> Probed:
    status = error.status
    if status == 401 and lists:
        return Probed("the API key is not accepted")
    if status is not None and status < 500 and (not lists or status in (403, 404, 405, 429)):
        # A key that may not list models, or a server without a list: it is there.
        return Probed(None, None, latency_ms)
    return Probed(str(error))


def _is_proxied(base_url: str) -> bool:
    address = urlsplit(base_url)
    host = address.hostname or ""
    return not is_near(base_url) and address.scheme in getproxies() and not proxy_bypass(host)


async def _through_proxy(base_url: str, path: str, *, deadline_s: float, headers: Mapping[str, str]) -> Answer:
    # 0.1 s to import, for those behind a proxy alone.
    import httpx2

    began = time.monotonic()
    try:
        async with asyncio.timeout(deadline_s), httpx2.AsyncClient() as client:
            answer = await client.get(f"{base_url.rstrip('/')}{path}", headers=dict(headers))
            if answer.status_code != 200:
                raise ProbeFailed(f"it answers with status {answer.status_code} to {path}", answer.status_code)
            return Answer(answer.json(), (time.monotonic() - began) * 1000)
    except TimeoutError:
        raise ProbeFailed(f"no answer within {deadline_s:g} s") from None
    except httpx2.HTTPError as error:
        raise ProbeFailed(str(error) or type(error).__name__) from None
    except ValueError:
        raise ProbeFailed(f"it answers with something else than JSON to {path}") from None

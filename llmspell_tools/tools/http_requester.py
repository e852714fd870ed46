"""http-requester: one request over HTTP, with headers, body, credentials and repetitions."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.limits.web import Retry
from llmspell_tools.parameters import ToolParameters, missing, parameter
from llmspell_tools.web.bodies import JSON_TYPE, json_body, shown_body


class Auth(BaseModel):
    """Credentials: which of the fields count, `type` says."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)

    type: Literal["none", "basic", "bearer", "api_key", "custom"] = "none"
    username: str | None = None
    password: str | None = None
    token: str | None = None
    key: str | None = None
    header_name: str = "X-API-Key"
    headers: dict[str, Any] = {}


class Repeating(BaseModel):
    """When the request is made again."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_attempts: int = Field(3, ge=1, le=20)
    initial_delay_ms: float = Field(200, ge=0)
    max_delay_ms: float = Field(5000, ge=0)
    backoff_factor: float = Field(2.0, ge=1)
    retry_on_status: list[int] = [429, 500, 502, 503, 504]


class Parameters(ToolParameters):
    """What `http-requester` is called with."""

    input: str = parameter("the URL", also=("url",))
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = parameter("the method", "GET")
    headers: dict[str, Any] = parameter("headers", {})
    body: Any = parameter("text, or anything else, which is sent as JSON", None)
    json_value: Any = parameter("a value that is sent as JSON, a text too", None, also=("json",))
    query: dict[str, Any] = parameter("parameters that are added to the URL", {}, also=("query_params",))
    auth: Auth = parameter("credentials", Auth())
    retry: Repeating | None = parameter(
        "when the request is made again; left out: as tools.network.max_retries says, where that is safe", None
    )
    timeout: float | None = parameter("seconds, up to tools.http_request.timeout_seconds", None, gt=0)
    timeout_ms: float | None = parameter("milliseconds, in place of timeout", None, gt=0)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Methods in any case; an empty list is an empty table; credentials without a type."""
        if isinstance(given.get("method"), str):
            given["method"] = given["method"].strip().upper()
        for name in ("headers", "query", "auth", "retry"):
            if given.get(name) == []:
                del given[name]
        auth = given.get("auth")
        if isinstance(auth, Mapping) and "type" not in auth:
            given["auth"] = {**auth, "type": _kind(auth)}
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Asks; an answer of any status is one."""
    headers, body = _sent(wanted)
    time_s = wanted.timeout if wanted.timeout_ms is None else wanted.timeout_ms / 1000
    answer = call.network.web().request(
        wanted.method,
        _with_query(wanted.input, wanted.query),
        headers=headers,
        body=body,
        retry=None if wanted.retry is None else _retry(wanted.retry),
        time_s=time_s,
    )
    shown = shown_body(answer)
    result = {
        "status_code": answer.status,
        "headers": dict(answer.header_map),
        "body": shown.body,
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }
    if shown.is_base64:
        result["body_encoding"] = "base64"
    return Outcome(
        operation="request",
        result=result,
        output=shown.body,
        message=f"{wanted.method} {answer.url}: {answer.status} {answer.reason}".rstrip(),
        metadata={
            "method": answer.method,
            "url": answer.url,
            "duration_ms": answer.duration_ms,
            "attempts": answer.attempts,
            "redirects": list(answer.redirects),
        },
    )


def _sent(wanted: Parameters) -> tuple[dict[str, Any], bytes]:
    headers = {**_credentials(wanted.auth), **wanted.headers}
    if wanted.json_value is not None:
        body, kind = json_body(wanted.json_value), JSON_TYPE
    elif isinstance(wanted.body, str):
        body, kind = wanted.body.encode(), "text/plain; charset=utf-8"
    elif wanted.body is not None:
        body, kind = json_body(wanted.body), JSON_TYPE
    else:
        return headers, b""
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return headers, body


def _credentials(auth: Auth) -> dict[str, Any]:
    if auth.type == "basic":
        if auth.username is None:
            raise missing("auth.username")
        pair = f"{auth.username}:{auth.password or ''}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if auth.type == "bearer":
        if auth.token is None:
            raise missing("auth.token")
        return {"Authorization": f"Bearer {auth.token}"}
    if auth.type == "api_key":
        if auth.key is None:
            raise missing("auth.key")
        return {auth.header_name: auth.key}
    return dict(auth.headers) if auth.type == "custom" else {}


def _kind(auth: Mapping[str, Any]) -> str:
    kinds = {"username": "basic", "token": "bearer", "key": "api_key", "headers": "custom"}
    return next((kind for name, kind in kinds.items() if name in auth), "none")


def _retry(wanted: Repeating) -> Retry:
    return Retry(
        attempts=wanted.max_attempts,
        initial_s=wanted.initial_delay_ms / 1000,
        longest_s=wanted.max_delay_ms / 1000,
        factor=wanted.backoff_factor,
        statuses=frozenset(wanted.retry_on_status),
        every_method=True,
    )


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    if not query:
        return url
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if isinstance(value, Mapping):
            raise InvalidRequest(f"query.{name} has to be a text, a number or a list of them")
        several: Sequence[Any] = value if isinstance(value, list) else [value]
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in several]
    whole, mark, fragment = url.partition("#")
    return f"{whole}{'&' if '?' in whole else '?'}{urlencode(pairs)}{mark}{fragment}"


TOOL = Tool(
    name="http-requester",
    description="Makes a request over HTTP and gives status, headers and body. An answer of any status is a success.",
    category="api",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("http_request", "network"),
    result="{status_code, headers, body: the JSON or the text, timestamp}; metadata {method, url, duration_ms}",
    keywords=("http", "request", "fetch", "rest", "api", "get", "post", "download"),
)

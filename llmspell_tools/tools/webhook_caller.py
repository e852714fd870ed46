"""webhook-caller: sends a payload to a webhook, again until it arrives."""

from __future__ import annotations

from typing import Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.web import Retry
from llmspell_tools.parameters import ToolParameters, parameter
from llmspell_tools.web.bodies import JSON_TYPE, json_body, shown_body

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class Parameters(ToolParameters):
    """What `webhook-caller` is called with."""

    input: str = parameter("the webhook's URL", also=("url", "webhook_url"))
    payload: Any = parameter("what is sent: a text as it is, anything else as JSON", {}, also=("body", "data"))
    headers: dict[str, Any] = parameter("headers", {})
    max_retries: int = parameter("how often it is sent again where it didn't arrive", 3, ge=0, le=10)
    timeout: float = parameter("seconds, up to tools.http_request.timeout_seconds", 30, gt=0)
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = parameter("the method", "POST")

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Methods in any case; an empty list is an empty table."""
        if isinstance(given.get("method"), str):
            given["method"] = given["method"].strip().upper()
        return {name: value for name, value in given.items() if name != "headers" or value != []}


def run(wanted: Parameters, call: Call) -> Outcome:
    """Delivers the payload, or fails with what the webhook answered."""
    is_text = isinstance(wanted.payload, str)
    headers = dict(wanted.headers)
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "text/plain; charset=utf-8" if is_text else JSON_TYPE
    answer = call.network.web().request(
        wanted.method,
        wanted.input,
        headers=headers,
        body=wanted.payload.encode() if is_text else json_body(wanted.payload),
        retry=Retry(attempts=1 + wanted.max_retries, statuses=_AGAIN, every_method=True),
        time_s=wanted.timeout,
    )
    body = shown_body(answer).body
    said = f"{answer.url.partition('?')[0]} answered {answer.status} {answer.reason}".rstrip()
    if not 200 <= answer.status < 300:
        raise ToolFailure(f"{said} after {answer.attempts} attempt{'s' * (answer.attempts > 1)}: {str(body)[:300]}")
    return Outcome(
        operation="call",
        result={
            "webhook_url": answer.url,
            "status_code": answer.status,
            "headers": dict(answer.header_map),
            "response": body,
            "response_time_ms": answer.duration_ms,
            "retries": answer.attempts - 1,
        },
        output=body,
        message=said,
        metadata={"method": answer.method, "url": answer.url, "duration_ms": answer.duration_ms},
    )


TOOL = Tool(
    name="webhook-caller",
    description="Sends a payload to a webhook, again where it doesn't arrive. Fails where the answer is not a 2xx.",
    category="data",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("http_request", "network"),
    result="{webhook_url, status_code, headers, response: the JSON or the text, response_time_ms, retries}",
    keywords=("webhook", "http", "post", "notify", "callback"),
)

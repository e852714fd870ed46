"""graphql-query: queries and mutations of a GraphQL endpoint, and its schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from llmspell_protocol.errors import Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.answers import Answer
from llmspell_tools.limits.web import Retry
from llmspell_tools.parameters import ToolParameters, missing, parameter
from llmspell_tools.web.bodies import JSON_TYPE, json_body

_TYPE = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name }}}}}"
_INTROSPECTION = f"""query IntrospectionQuery {{ __schema {{
  queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
  directives {{ name description locations args {{ name description type {{ {_TYPE} }} defaultValue }} }}
  types {{
    kind name description
    fields(includeDeprecated: true) {{
      name description isDeprecated deprecationReason type {{ {_TYPE} }}
      args {{ name description type {{ {_TYPE} }} defaultValue }}
    }}
    inputFields {{ name description type {{ {_TYPE} }} defaultValue }}
    interfaces {{ {_TYPE} }} possibleTypes {{ {_TYPE} }}
    enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
  }}
}} }}"""
_SUBSCRIPTION = re.compile(r"^\s*subscription\b", re.MULTILINE)


class Parameters(ToolParameters):
    """What `graphql-query` is called with."""

    operation: Literal["query", "mutation", "subscription", "introspection"] = parameter(
        "what to do; introspection asks for the schema", "query"
    )
    endpoint: str = parameter("the URL of the endpoint", also=("url",))
    input: str | None = parameter("the GraphQL document", None, also=("query", "mutation", "document"))
    variables: dict[str, Any] = parameter("values of the document's variables", {})
    operation_name: str | None = parameter("which operation of the document is meant", None)
    headers: dict[str, Any] = parameter("headers", {})

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """An empty list is an empty table."""
        return {name: value for name, value in given.items() if name not in ("headers", "variables") or value != []}


def run(wanted: Parameters, call: Call) -> Outcome:
    """Asks; errors without data are the operation's own no."""
    if wanted.operation == "subscription" or _SUBSCRIPTION.search(wanted.input or ""):
        raise Unsupported(
            "graphql-query does no subscriptions: a call ends with one answer, and a subscription doesn't end",
            hint="ask again from time to time, with operation = query",
        )
    document = _INTROSPECTION if wanted.operation == "introspection" else wanted.input
    if document is None:
        raise missing("input", "query")
    asked: dict[str, Any] = {"query": document}
    if wanted.operation != "introspection":
        asked |= {"variables": wanted.variables} if wanted.variables else {}
        asked |= {"operationName": wanted.operation_name} if wanted.operation_name else {}
    answer = call.network.web().request(
        "POST",
        wanted.endpoint,
        headers={"Content-Type": JSON_TYPE, "Accept": "application/graphql-response+json, application/json"}
        | wanted.headers,
        body=json_body(asked),
        retry=None if wanted.operation == "mutation" else _repeated(call),
    )
    said = _said(answer)
    data, errors = said.get("data"), said.get("errors") or []
    if data is None:
        reason = _messages(errors) if errors else f"{answer.status} {answer.reason} without data".strip()
        raise ToolFailure(f"{answer.url.partition('?')[0]}: {reason}")
    result = {"data": data} | {name: said[name] for name in ("errors", "extensions") if said.get(name)}
    output = data.get("__schema") if wanted.operation == "introspection" and isinstance(data, dict) else data
    return Outcome(
        operation=wanted.operation,
        result=result,
        output=output,
        message=f"{wanted.operation} done" + (f", with errors: {_messages(errors)}" if errors else ""),
        metadata={"endpoint": answer.url, "status_code": answer.status, "duration_ms": answer.duration_ms},
    )


def _repeated(call: Call) -> Retry:
    """A query changes nothing and may be asked again."""
    return Retry(attempts=1 + int(call.tables.get("network", {}).get("max_retries", 3)), every_method=True)


def _said(answer: Answer) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or not {"data", "errors"} & set(said):
        start = (answer.text() or "")[:200]
        raise ToolFailure(
            f"{answer.url.partition('?')[0]} answered {answer.status} {answer.reason} and no GraphQL: {start}"
        )
    return said


def _messages(errors: Any) -> str:
    listed = errors if isinstance(errors, list) else [errors]
    return "; ".join(str(one.get("message", one) if isinstance(one, dict) else one)[:500] for one in listed[:10])


TOOL = Tool(
    name="graphql-query",
    description="Asks a GraphQL endpoint: a query, a mutation, or its schema.",
    category="api",
    level="privileged",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("http_request", "network"),
    result="{data, errors?, extensions?}; introspection's primary value is the schema",
    keywords=("graphql", "api", "query", "mutation", "introspection", "schema"),
)

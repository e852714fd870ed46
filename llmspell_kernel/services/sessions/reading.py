"""A recorded request and its answer as people read them: a name, what was asked, what was answered. Knows no tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.services.sessions.records import PART

_LONGEST_NAME = 60
_LOOKED_AT = 1_000
"""Characters of a question that its session may be called after."""


class Read(NamedTuple):
    """What a person sees of a request."""

    details: str
    asked: str
    answered: str
    error: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


def title_of(msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What a session that begins with this request is called."""
    if msg_type == "execute_request":
        unnamed = "exec" if options.get("isolated") else "repl" if options.get("deltas") else "notebook"
        return str(options.get("name") or unnamed)
    if "tool" in content or content.get("workflow"):
        return _details(msg_type, content, options)
    definition = content.get("definition")
    if isinstance(definition, Mapping):
        asked = str(definition.get("name") or definition.get("type") or "workflow")
    else:
        asked = _asked(msg_type, content)
    asked = " ".join(asked[:_LOOKED_AT].split())
    return (asked[: _LONGEST_NAME - 1] + "…" if len(asked) > _LONGEST_NAME else asked) or _details(
        msg_type, content, options
    )


def kind_of(msg_type: str, options: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """What kind of session begins with this request."""
    if msg_type == "execute_request":
        return "script" if options.get("isolated") else "notebook"
    return "chat" if "messages" in content else "other"


def read(
    msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any], reply: Mapping[str, Any] | None
) -> Read:
    """A request with its reply's content, and `printed` in that of a script; `reply` None: it runs still, or the
    kernel ended with it."""
    said = reply or {}
    usage = said.get("usage") if isinstance(said.get("usage"), Mapping) else {}
    failed = said.get("status") == "error"
    error = f"{said.get('message') or said.get('evalue') or said.get('code')}" if failed else _tool_problem(said)
    model = _with_backend(said) or content.get("model")
    return Read(
        details=_named(said) or _details(msg_type, content, options),
        asked=_asked(msg_type, content),
        answered=_partial(said) if failed else _answered(msg_type, said),
        error=error,
        model=str(model) if model else None,
        prompt_tokens=_whole(usage, "prompt_tokens"),
        completion_tokens=_whole(usage, "completion_tokens"),
    )


def found_by(
    msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any], reply: Mapping[str, Any] | None
) -> Sequence[str | None]:
    """The texts that a step is found by.

    A model's reply within an agent's turn only by what it said beside calls: question and answer are the turn's own.
    """
    seen = read(msg_type, content, options, reply)
    if not options.get(PART) or msg_type != "model_request":
        return (seen.asked, *((seen.answered, seen.error) if reply is not None else ()))
    message = (reply or {}).get("message")
    said = message.get("content") if isinstance(message, Mapping) and message.get("tool_calls") else None
    return str(said) if said else None, seen.error


def _details(msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    if msg_type == "execute_request":
        return str(options.get("name") or "")
    if (msg_type, content.get("action")) == ("workflow_request", "step"):
        return ""  # A function has no name but its step's.
    for key in ("tool", "model", "agent", "name", "workflow"):
        if isinstance(content.get(key), str) and content[key]:
            return str(content[key])
    return ""


def _named(reply: Mapping[str, Any]) -> str | None:
    """The name of the agent or workflow that answered: a request may have its id."""
    for kind in ("agent", "workflow"):
        found = reply.get(kind)
        if isinstance(found, Mapping) and found.get("name"):
            return str(found["name"])
    return None


def _asked(msg_type: str, content: Mapping[str, Any]) -> str:
    if msg_type == "execute_request":
        return str(content.get("code", ""))
    messages = content.get("messages")
    if isinstance(messages, Sequence) and messages and isinstance(messages[-1], Mapping):
        return str(messages[-1].get("content", ""))
    for key in ("prompt", "input", "text"):
        if isinstance(content.get(key), str):
            return str(content[key])
    shown = {key: value for key, value in content.items() if key not in _NOT_ASKED}
    for name, beside in (("parameters", "tool"), ("input", "workflow")):
        if name in shown and set(shown) <= {name, beside}:
            return "" if shown[name] is None else _json(shown[name])
    if not shown or content.get("action") == "step":
        return ""
    return _json(shown)


def _answered(msg_type: str, reply: Mapping[str, Any]) -> str:
    if msg_type == "execute_request":
        printed = reply.get("printed") or {}
        result = reply.get("result_repr", printed.get("result"))
        texts = [str(printed[name]).rstrip("\n") for name in ("stdout", "stderr") if printed.get(name)]
        return "\n".join([*texts, *([str(result)] if result is not None else [])])
    message = reply.get("message")
    if isinstance(message, Mapping):
        calls = message.get("tool_calls")
        called = [
            f"[{one.get('name')} {_json(one.get('arguments'))}]"
            for one in (calls if isinstance(calls, Sequence) else ())
            if isinstance(one, Mapping)
        ]
        return "\n".join([*([str(message.get("content", ""))] if message.get("content") else []), *called])
    if isinstance(reply.get("text"), str):
        return str(reply["text"])
    if msg_type == "workflow_request" and ("output" in reply or "result" in reply):
        return _of_workflow(reply)
    shown = {key: value for key, value in reply.items() if key not in _NOT_ANSWERED}
    return _json(shown) if shown else ""


def _of_workflow(reply: Mapping[str, Any]) -> str:
    """How it went in a sentence, and its output; of a part the output alone."""
    result = reply.get("result")
    whole = result if isinstance(result, Mapping) else reply
    output = whole.get("output")
    said = [str(whole["text"])] if whole.get("text") else []
    return "\n".join([*said, *([output if isinstance(output, str) else _json(output)] if output is not None else [])])


def _partial(reply: Mapping[str, Any]) -> str:
    details = reply.get("details")
    partial = details.get("partial") if isinstance(details, Mapping) else None
    texts = partial if isinstance(partial, Mapping) else reply.get("printed") or {}
    return "\n".join(str(texts[name]).rstrip("\n") for name in ("text", "stdout", "stderr") if texts.get(name))


def _tool_problem(reply: Mapping[str, Any]) -> str | None:
    problem = reply.get("error")
    return str(problem.get("message")) if isinstance(problem, Mapping) else None


def _with_backend(reply: Mapping[str, Any]) -> str | None:
    model, backend = reply.get("model"), reply.get("backend")
    if not isinstance(model, str) or not isinstance(backend, str):
        return None
    return model if "@" in model or "/" in model else f"{model}@{backend}"


def _whole(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_NOT_ASKED = frozenset({"action", "stream", "allow_stdin", "options", "model", "agent", "name"})
_NOT_ANSWERED = frozenset({"status", "seq", "duration_ms", "usage", "timings"})

"""What the client asks for: contents of requests from arguments. Knows no connection."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from llmspell_protocol.areas.rag import RagDocument
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.models import ChatMessage, SamplingOptions, Speculation
from llmspell_protocol.request_options import EVERYTHING, RequestOptions
from llmspell_protocol.schema_fields import schema_of_fields
from llmspell_protocol.user_home import expanded_user

Prompt = str | Sequence[ChatMessage | Mapping[str, Any]]
"""A question, or a conversation whose last message is to be answered."""
Permissions = Mapping[str, Sequence[str]]
"""What a script may touch: `{"read": ["data"], "net": ["example.org"]}`, with `*` for everything of the kind."""

Document = str | RagDocument | Mapping[str, Any]
"""A text to be found again, alone or with id, title and metadata."""


class Sampling(TypedDict, total=False):
    """How tokens are chosen; what is left out is the kernel's default."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repeat_penalty: float | None
    repeat_last_n: int | None
    seed: int | None
    max_tokens: int | None
    stop: Sequence[str] | None
    num_ctx: int | None
    num_beams: int | None


class Asked(Sampling, total=False):
    """The keyword arguments of `chat`, `stream` and `generate`."""

    model: str | None
    """absent: the kernel's default model"""
    system: str | None
    """what the model is told before all else"""
    schema: Mapping[str, Any] | str | None
    """the form of the answer: a JSON Schema, or fields in short: `name, age int`"""
    tools: Sequence[Mapping[str, Any]]
    """functions that the model may ask for, as OpenAI describes them; the kernel's own tools are for agents"""
    tool_choice: str | None
    think: bool | None
    truncate: bool
    """leave out what doesn't fit the context"""
    device: str | None
    speculation: Speculation | None
    timeout_s: float | None


_SAMPLING = frozenset(one.name for one in fields(SamplingOptions))
_BESIDE = frozenset({"tools", "tool_choice", "think", "truncate", "device", "speculation"})
_OWN = frozenset({"model", "system", "schema", "timeout_s"})


def chat_content(prompt: Prompt, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A `chat`.

    Raises:
        InvalidRequest: the prompt is neither a text nor messages; and as `_checked`.
    """
    checked = _checked(asked)
    if not isinstance(prompt, str) and (not isinstance(prompt, Sequence) or not prompt):
        raise InvalidRequest(f"the prompt has to be a text or a list of messages, got {type(prompt).__name__}")
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [_message(one) for one in prompt]
    if checked.get("system"):
        messages.insert(0, {"role": "system", "content": checked["system"]})
    return {"action": "chat", "messages": messages, **_of_both(checked)}


def generate_content(prompt: str, raw: bool, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A `generate`; raises as `_checked`."""
    checked = _checked(asked)
    if checked.get("system"):
        raise InvalidRequest("generate has no system prompt", hint="chat has: chat(prompt, system=…)")
    return {"action": "generate", "prompt": prompt, "raw": raw, **_of_both(checked)}


def sampling_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options alone; raises as `_checked`."""
    unknown = next((name for name in options if name not in _SAMPLING), None)
    if unknown is not None:
        raise _unexpected(unknown, _SAMPLING)
    return {name: value for name, value in options.items() if value is not None}


def schema_content(schema: Mapping[str, Any] | str | None) -> Mapping[str, Any] | None:
    """A JSON Schema from either of its forms; raises as `schema_of_fields`."""
    return schema_of_fields(schema, "schema") if isinstance(schema, str) else schema


def documents_content(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Texts to take in.

    Raises:
        InvalidRequest: they are no list, or one of them is no text and has none.
    """
    if isinstance(documents, (str, Mapping)):
        raise InvalidRequest("documents has to be a list", hint="documents=[text]")
    found = [{"text": one} if isinstance(one, str) else without_absent(to_content(one)) for one in documents]
    for number, one in enumerate(found, 1):
        if not isinstance(one.get("text"), str):
            raise InvalidRequest(f"document {number} has no text", hint='{"text": "…", "id": "note"}')
    return found


_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def origins_content(sources: Sequence[str | Path], *, local: bool) -> dict[str, list[str]]:
    """Files, directories and addresses, split by what they are; `local`: paths are of this process's machine.

    Raises:
        InvalidRequest: they are no list.
    """
    if isinstance(sources, (str, Path)):
        raise InvalidRequest("sources has to be a list", hint="sources=[path]")
    urls = [one for one in sources if isinstance(one, str) and _ADDRESS.match(one)]
    paths = [os.fspath(one) for one in sources if one not in urls]
    if local:  # The kernel's directory is another one.
        paths = [os.path.abspath(expanded_user(path, os.environ)) for path in paths]
    return {"paths": paths, "urls": urls}


def without_absent(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without what was not said."""
    return {name: value for name, value in content.items() if value is not None}


def script_source(script: str | Path) -> tuple[str, str | None, str | None]:
    """Code, name and absolute path: of a file, or of the code itself.

    Raises:
        NotFound: there is no such file, or it can't be read.
        InvalidRequest: it is no text.
    """
    if isinstance(script, str):
        return script, None, None
    try:
        return script.read_text(encoding="utf-8"), str(script), str(script.absolute())
    except OSError as error:
        raise NotFound(f"can't read the script {script}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"the script {script} is not UTF-8 text") from None


def script_options(
    *,
    args: Sequence[str],
    name: str | None,
    path: str | None,
    model: str | None,
    allow: Permissions | None,
    local: bool,
    asks: bool,
) -> RequestOptions:
    """The options of a script's run; `local`: the kernel is on this machine, and sees this process's directory."""
    return RequestOptions(
        isolated=True,
        shows_value=True,
        args=[str(word) for word in args],
        name=name,
        path=path if local else None,
        cwd=os.getcwd() if local else None,
        model=model,
        allow=_absolute(allow) if allow else None,
        interactive=asks,
    )


def _absolute(allow: Permissions) -> dict[str, list[str]]:
    """Permissions with absolute paths, as the kernel takes them."""
    return {
        kind: [os.path.abspath(name) if kind in ("read", "write") and name != EVERYTHING else name for name in names]
        for kind, names in allow.items()
    }


def _of_both(asked: Mapping[str, Any]) -> dict[str, Any]:
    content = {name: value for name, value in asked.items() if name in _BESIDE and value is not None}
    content["model"] = asked.get("model") or ""
    schema = schema_content(asked.get("schema"))
    if schema is not None:
        content["schema"] = schema
    options = {name: value for name, value in asked.items() if name in _SAMPLING and value is not None}
    if options:
        content["options"] = options
    return content


def _checked(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments, if there are such.

    Raises:
        TypeError: there is no argument of a name; the message says which could be meant.
    """
    known = _SAMPLING | _BESIDE | _OWN
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        raise _unexpected(unknown, known)
    return asked


def _unexpected(name: str, known: frozenset[str]) -> TypeError:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return TypeError(f"there is no argument '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))


def _message(message: ChatMessage | Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = to_content(message)
    return {name: value for name, value in content.items() if value is not None}

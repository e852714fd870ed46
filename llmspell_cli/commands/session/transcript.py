"""A session's steps as people read them: a conversation as one, anything else step by step. Lines, or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmspell_cli.terminal.text import date, short_time

Step = Mapping[str, Any]

_TURNS = frozenset({"model chat", "model generate", "agent answer", "agent execute"})
"""What is said to a model and by it."""

_SAYING = _TURNS | {"tool invoke"}
"""Whose answers are worth a line below a script's step."""


def is_turn(step: Step) -> bool:
    """Whether a step is something said to a model."""
    return step["action"] in _TURNS and is_root(step)


def is_root(step: Step) -> bool:
    """Whether a client asked it."""
    return "." not in step["step"]


def lines(steps: Iterable[Step]) -> Iterator[str]:
    """The steps as lines; a blank one between two that clients asked."""
    for at, step in enumerate(steps):
        if is_root(step):
            if at:
                yield ""
            yield from _turn(step) if is_turn(step) else _work(step)
        else:
            indent = "  " * step["step"].count(".")
            said = step["error"] or (step["answered"] if step["action"] in _SAYING else "")
            yield f"{indent}{heading(step)}{': ' + _one_line(said) if said else ''}"


def heading(step: Step) -> str:
    """`2.1 tool invoke calculator, 3 ms`."""
    words = [step["step"], step["action"], *([step["details"]] if step["details"] else [])]
    took = "unfinished" if step["duration_ms"] is None else short_time(step["duration_ms"])
    return f"{' '.join(words)}, {took}"


def _turn(step: Step) -> Iterator[str]:
    yield f"You: {step['asked']}"
    yield ""
    model = step["model"] or step["details"] or "Model"
    yield f"{model}: {step['answered']}".rstrip()
    if step["error"]:
        yield f"[{step['error']}]"


def _work(step: Step) -> Iterator[str]:
    yield heading(step)
    if step["answered"]:
        yield from (f"  {line}" for line in step["answered"].splitlines())
    if step["error"]:
        yield f"  Error: {step['error']}"


_LONGEST = 100


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def markdown(shown: Mapping[str, Any]) -> str:
    """A whole session as Markdown: what a model said as it said it, everything else in blocks of code."""
    session = shown["session"]
    parts = [f"# {_one_line(session['name'])}", ""]
    if session["description"]:
        parts += [session["description"], ""]
    parts += [f"- {date(session['created_at'])}, {session['status']}"]
    parts += [f"- {session['prompt_tokens']} tokens read, {session['completion_tokens']} written"]
    parts += [f"- session `{session['id']}`", ""]
    for step in shown["steps"]:
        if is_turn(step):
            parts += ["## You", "", step["asked"], "", f"## {step['model'] or step['details'] or 'Model'}", ""]
            parts += [step["answered"], ""] if step["answered"] else []
        elif is_root(step):
            parts += [f"## {heading(step)}", "", *_block(step["asked"]), *_block(step["answered"])]
        else:
            parts += [f"### {heading(step)}", "", *_block(step["asked"]), *_block(step["answered"])]
        if step["error"]:
            parts += [f"**Error:** {_one_line(step['error'])}", ""]
    if shown["artifacts"]:
        parts += ["## Artifacts", ""]
        parts += [f"- {one['name']} ({one['type']}, {one['size_bytes']} bytes)" for one in shown["artifacts"]]
        parts += [""]
    return "\n".join(parts)


def _block(text: str) -> list[str]:
    """A block of code around a text, whatever fences are in it."""
    if not text:
        return []
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, text, fence, ""]

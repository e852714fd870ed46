"""A session's steps as people read them: a conversation as one, anything else step by step. Lines, or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmspell_cli.terminal.text import date, short_time

Step = Mapping[str, Any]
Tree = Sequence[Step]
"""What a client asked, and behind it what came of it."""

_TURNS = frozenset({"model chat", "model generate", "agent answer", "agent execute"})
"""What is said to a model and by it."""

_SAYING = _TURNS | {"tool invoke", "workflow execute", "workflow step"}
"""Whose answers are worth a line below a script's step."""


def is_turn(step: Step) -> bool:
    """Whether a step is something said to a model."""
    return step["action"] in _TURNS and is_root(step)


def is_root(step: Step) -> bool:
    """Whether a client asked it."""
    return "." not in step["step"]


def trees(steps: Iterable[Step]) -> Iterator[Tree]:
    """The steps by what clients asked."""
    tree: list[Step] = []
    for step in steps:
        if is_root(step) and tree:
            yield tree
            tree = []
        tree.append(step)
    if tree:
        yield tree


def lines(steps: Iterable[Step]) -> Iterator[str]:
    """The steps as lines; a blank one between two that clients asked."""
    for at, (root, *below) in enumerate(trees(steps)):
        if at:
            yield ""
        yield from _turn(root, below) if is_turn(root) else _work(root, below)


def heading(step: Step) -> str:
    """`2.1 sum: tool invoke calculator, 3 ms`."""
    action = "function" if step["action"] == "workflow step" else step["action"]
    name, details = step["step_name"], step["details"]
    words = [step["step"], *([f"{name}:"] if name else []), action, *([details] if details not in ("", name) else [])]
    took = "unfinished" if step["duration_ms"] is None else short_time(step["duration_ms"])
    read, written = step["prompt_tokens"], step["completion_tokens"]
    tokens = "" if read is None or written is None or is_root(step) else f", {read} tokens read, {written} written"
    return f"{' '.join(words)}, {took}{tokens}"


def _turn(root: Step, below: Tree) -> Iterator[str]:
    yield f"You: {root['asked']}"
    yield ""
    calls = list(_calls(below))
    if calls:
        yield from (f"  {line}" for line in calls)
        yield ""
    model = root["model"] or root["details"] or "Model"
    yield f"{model}: {root['answered']}".rstrip()
    if root["error"]:
        yield f"[{root['error']}]"


def _calls(below: Tree) -> Iterator[str]:
    """The calls of tools within a turn, each in a line; what an agent that is a tool called is further in."""
    for step in below:
        if step["action"] == "tool invoke":
            said = f"Error: {step['error']}" if step["error"] else step["answered"]
            indent = "  " * (step["step"].count(".") - 1)
            yield f"{indent}[{step['details']} {_one_line(step['asked'])}] {_one_line(said)}".rstrip()


def _work(root: Step, below: Tree) -> Iterator[str]:
    yield heading(root)
    if root["answered"]:
        yield from (f"  {line}" for line in root["answered"].splitlines())
    if root["error"]:
        yield f"  Error: {root['error']}"
    answers = {}
    for step in below:
        label = step["step"]
        answers[label] = step["answered"]
        said = f"Error: {step['error']}" if step["error"] else _said(step, answers.get(label.rpartition(".")[0]))
        yield f"{'  ' * label.count('.')}{heading(step)}{': ' + _one_line(said) if said else ''}"


def _said(step: Step, above: str | None) -> str:
    """What a step answered, where that's worth a line: not what the turn that it is part of answered with it."""
    if step["action"] not in _SAYING or (step["is_part"] and step["answered"] == above):
        return ""
    return str(step["answered"])


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
    for root, *below in trees(shown["steps"]):
        parts += _conversation(root, below) if is_turn(root) else _report(root, below)
    if shown["artifacts"]:
        parts += ["## Artifacts", ""]
        parts += [f"- {one['name']} ({one['type']}, {one['size_bytes']} bytes)" for one in shown["artifacts"]]
        parts += [""]
    return "\n".join(parts)


def _conversation(root: Step, below: Tree) -> Iterator[str]:
    yield from ("## You", "", root["asked"], "", f"## {root['model'] or root['details'] or 'Model'}", "")
    calls = list(_calls(below))
    yield from _block("\n".join(calls))
    if root["answered"]:
        yield from (root["answered"], "")
    yield from _problem(root)


def _report(root: Step, below: Tree) -> Iterator[str]:
    for step in (root, *below):
        level = "##" if is_root(step) else "###"
        yield from (f"{level} {heading(step)}", "", *_block(step["asked"]), *_block(step["answered"]), *_problem(step))


def _problem(step: Step) -> Sequence[str]:
    return [f"**Error:** {_one_line(step['error'])}", ""] if step["error"] else []


def _block(text: str) -> list[str]:
    """A block of code around a text, whatever fences are in it."""
    if not text:
        return []
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, text, fence, ""]

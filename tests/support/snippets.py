"""Code blocks of the documentation, as a reader meets them: page by page, from top to bottom.

A block with a title (`lua title="hello.lua"`) is a file of the reader's directory. In a `console` block a line that
begins with `$ ` is a command and what follows is what it prints, with `…` for what differs from run to run. A comment
before a block says what is special about it:

    <!-- not run: why -->            it can't be run everywhere; it is only looked at
    <!-- exit status: 2 -->          how its last command ends, where that isn't 0
    <!-- setup: a command -->        what a reader has done elsewhere
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)(?P<rest>[^\n`]*)$")
_MARK = re.compile(r"^ *<!-- (?P<name>not run|exit status|setup): (?P<value>.+?) -->$")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Snippet:
    """One block: `line` is that of its first fence, `not_run` the reason or empty, `setup` commands that go before."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    not_run: str = ""
    exit_status: int = 0
    setup: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Typed:
    """A line that is typed into a chat or a repl at its prompt (`> ` or `... `), and what is said to it."""

    prompt: str
    text: str
    answer: str = ""


@dataclass(frozen=True)
class Step:
    """A command of a `console` block, what is typed into it line by line, and what it prints (None: not shown)."""

    command: str
    typed: tuple[Typed, ...]
    printed: str | None


def pages() -> list[Path]:
    """All pages that people read, README first, in the order of their names."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "protocol" / "README.md"]


def snippets(page: Path) -> Iterator[Snippet]:
    """The blocks of a page from top to bottom."""
    lines = page.read_text(encoding="utf-8").splitlines()
    marks: list[tuple[str, str]] = []
    at = 0
    while at < len(lines):
        if mark := _MARK.match(lines[at]):
            marks.append((mark["name"], mark["value"]))
        elif fence := _FENCE.match(lines[at]):
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            body = [line.removeprefix(fence["indent"]) for line in lines[at + 1 : end]]
            title = _TITLE.search(fence["rest"])
            said = dict(marks)
            yield Snippet(
                page=page,
                line=at + 1,
                language=fence["language"],
                title=title[1] if title else "",
                text="\n".join(body) + "\n",
                not_run=said.get("not run", ""),
                exit_status=int(said.get("exit status", "0")),
                setup=tuple(value for name, value in marks if name == "setup"),
            )
            marks = []
            at = end
        elif lines[at].strip():
            marks = []
        at += 1


def steps(snippet: Snippet) -> Iterator[Step]:
    """The commands of a `console` block; `> ` begins what is typed into a chat or a repl."""
    command: str | None = None
    rest: list[str] = []
    for line in [*snippet.text.splitlines(), "$ "]:
        if not line.startswith("$ "):
            if command is not None and command.endswith("\\"):
                command = f"{command}\n{line}"
            else:
                rest.append(line)
            continue
        if command is not None:
            yield _step(command, rest)
        command, rest = line.removeprefix("$ "), []


def _step(command: str, rest: list[str]) -> Step:
    typed: list[Typed] = []
    before: list[str] = []
    for line in rest:
        if line.startswith(("> ", "... ")):
            prompt, _, text = line.partition(" ")
            typed.append(Typed(f"{prompt} ", text))
        elif typed:
            typed[-1] = replace(typed[-1], answer=f"{typed[-1].answer}{line}\n")
        else:
            before.append(line)
    printed = "\n".join(before).rstrip() if any(line.strip() for line in before) else None
    return Step(command, tuple(typed), printed)


def commands(snippet: Snippet) -> list[str]:
    """The command lines of a `console` or `sh` block, continuation lines joined."""
    if snippet.language == "console":
        return [step.command for step in steps(snippet)]
    text = snippet.text.replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def fits(printed: str, expected: str) -> bool:
    """Whether an output is what the page shows, where `…` stands for anything."""
    pieces = [re.escape(piece) for piece in _tidy(expected).split("…")]
    return re.fullmatch(".*?".join(pieces), _tidy(printed), re.DOTALL) is not None


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())

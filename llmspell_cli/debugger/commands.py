"""What a user types at the debugger's prompt, and what comes of it. Knows the kernel's debugger, no terminal.

A command gives the text that it shows; one that lets the script go on raises `GoesOn` with what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from llmspell_cli.debugger.frames import Where, numbered
from llmspell_cli.debugger.help_words import HELP
from llmspell_cli.debugger.link import DebugLink
from llmspell_cli.debugger.points import Places, Point, Points
from llmspell_cli.debugger.typed import command_and_rest
from llmspell_cli.session import Content
from llmspell_cli.terminal.text import columns
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound

_NOT_PAUSED = "Not paused at a breakpoint"
_CONDITION = re.compile(r"\s+(?:if\s+)?")
_SET = re.compile(r"\s*([^=~<>]+?)\s*=\s*([^=].*)\Z", re.DOTALL)
_AROUND = 5


class GoesOn(Exception):
    """The script runs again."""


class Quit(Exception):
    """The user ends the script."""


class DebugCommands:
    """Obeys one line at a time. Until `link` is there, breakpoints are kept for it."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.points = Points()
        self.link: DebugLink | None = None
        self.where: Where | None = None
        self._filters: list[str] | None = None
        self._watches: dict[int, str] = {}
        self._watched = 0
        self._sources: dict[str, list[str]] = {}
        self._commands: dict[str, Callable[[str], str]] = {
            **dict.fromkeys(("break", "b"), self._break),
            "tbreak": self._break_once,
            "hits": self._hits,
            "log": self._log,
            **dict.fromkeys(("delete", "d"), self._delete),
            "enable": lambda rest: self._switch(rest, on=True),
            "disable": lambda rest: self._switch(rest, on=False),
            "watch": self._watch,
            "unwatch": self._unwatch,
            "exceptions": self._exceptions,
            **dict.fromkeys(("continue", "c"), lambda _: self._go("continue")),
            **dict.fromkeys(("next", "n"), lambda _: self._go("next")),
            **dict.fromkeys(("step", "s"), lambda _: self._go("stepIn")),
            **dict.fromkeys(("finish", "f"), lambda _: self._go("stepOut")),
            "until": self._until,
            "pause": self._pause,
            **dict.fromkeys(("where", "w", "bt", "backtrace", "stack"), self._stack),
            "up": lambda _: self._move(1),
            "down": lambda _: self._move(-1),
            "frame": self._frame,
            "locals": self._locals,
            "globals": self._globals,
            **dict.fromkeys(("print", "p"), self._print),
            "set": self._set,
            "eval": self._eval,
            **dict.fromkeys(("list", "l"), self._list),
            **dict.fromkeys(("quit", "q", "exit"), self._quit),
            **dict.fromkeys(("help", "h", "?"), lambda _: "\n".join(columns(HELP))),
        }

    @property
    def names(self) -> Sequence[str]:
        """Every spelling of every command."""
        return tuple(self._commands)

    def obey(self, line: str) -> str:
        """Does what a line says, with `db:`, `debug:` or a dot before it or without; the text to show.

        Raises:
            GoesOn: the script runs again.
            Quit: the user ends it.
            LlmspellError: the command failed, or there is none of that name.
        """
        word, rest = command_and_rest(line)
        command = self._commands.get(word)
        if command is None:
            raise InvalidRequest(
                f"Unknown command {word}, see help", hint=f"print {f'{word} {rest}'.strip()} shows a value"
            )
        return command(rest)

    # The run

    def attached(self, link: DebugLink) -> None:
        """The kernel's debugger is there: it hears of all that was typed before."""
        self.link = link
        for path in {point.path for point in self.points.all}:
            self.send(path)
        if self._filters is not None:
            link.ask("setExceptionBreakpoints", filters=self._filters)

    def stopped(self, event: Content) -> tuple[Where, Point | None]:
        """The script stands: where, and at which breakpoint; one that was for one stop alone is gone then."""
        frames = self._ask("stackTrace", threadId=1)["stackFrames"]
        self.where = Where(frames) if frames else None
        point = self.points.hit(event.get("hitBreakpointIds"))
        if point is not None and point.temporary:
            self.points.all.remove(point)
            self.send(point.path)
        return Where(frames), point

    def ran_on(self) -> None:
        """The script runs."""
        self.where = None

    def moved(self, state: Content) -> str | None:
        """A breakpoint has found its line when its text was loaded: what there is to say."""
        point = self.points.hit([state.get("id")])
        if point is None:
            return None
        before = (point.line, point.problem)
        self._take(point, state)
        return self.said(point) if (point.line, point.problem) != before else None

    def watches(self) -> list[tuple[str, str]]:
        """The watched expressions with their values here."""
        return [(expression, self._value_or_problem(expression)) for expression in self._watches.values()]

    def source_line(self, frame: Content) -> str | None:
        """The text of a frame's line."""
        lines = self._source(str(frame["source"]["path"]))
        number = int(frame["line"])
        return lines[number - 1] if 0 < number <= len(lines) else None

    def send(self, path: str) -> None:
        """Tells the kernel the breakpoints of a path."""
        if self.link is None:
            return
        points = self.points.at(path)
        given = [point.to_content() for point in points]
        states = self.link.ask("setBreakpoints", source={"path": path}, breakpoints=given)["breakpoints"]
        for point, state in zip(points, states, strict=True):
            self._take(point, state)

    # Breakpoints

    def add(self, text: str, *, temporary: bool = False) -> Point:
        """A breakpoint as it is typed: `[FILE:]LINE [if COND]`.

        Raises:
            InvalidRequest: it is none.
        """
        place, *condition = _CONDITION.split(text, maxsplit=1)
        return self._add(place, condition[0] if condition else None, temporary=temporary)

    def watch(self, expression: str) -> int:
        """Watches an expression; its number."""
        self._watched += 1
        self._watches[self._watched] = expression
        return self._watched

    def stop_at_errors(self, filters: list[str]) -> None:
        """Stops at errors: `uncaught`, `raised`."""
        self._filters = filters
        if self.link is not None:
            self.link.ask("setExceptionBreakpoints", filters=filters)

    def _add(self, place: str, condition: str | None, **more: Any) -> Point:
        current = str(self.where.frame["source"]["path"]) if self.where is not None else None
        path, line = self.places.read(place, current)
        point = self.points.add(path, self.places.shown(path), line, condition, **more)
        try:
            self.send(path)
        except LlmspellError:
            self.points.all.remove(point)
            raise
        return point

    def _take(self, point: Point, state: Content) -> None:
        point.kernel_id = state.get("id")
        point.line = int(state.get("line") or point.line)
        point.problem = None if state.get("verified", True) else str(state.get("message", "not possible here"))

    @property
    def stops_at_errors(self) -> bool:
        """Whether errors stop the script."""
        return bool(self._filters)

    def detach(self) -> None:
        """The script goes on without a debugger."""
        self._ask("disconnect")
        self.link = None

    def said(self, point: Point) -> str:
        """A breakpoint in words."""
        where = f"Breakpoint {point.id} at {point.shown}:{point.line}"
        if point.problem is not None:
            return f"{where} will not be hit: {point.problem}"
        return where if point.line == point.asked else f"{where}, since there is no code on line {point.asked}"

    def _break(self, rest: str) -> str:
        if not rest:
            rows = [(f"{point.id}", point.described) for point in self.points.all]
            return "\n".join(columns(rows)) or "No breakpoints"
        return self.said(self.add(rest))

    def _break_once(self, rest: str) -> str:
        return self.said(self.add(rest, temporary=True))

    def _hits(self, rest: str) -> str:
        number, _, condition = rest.partition(" ")
        point = self.points.numbered(number)
        before, point.hits = point.hits, condition.strip() or None
        try:
            self.send(point.path)
        except LlmspellError:
            point.hits = before
            raise
        return self.said(point)

    def _log(self, rest: str) -> str:
        place, _, message = rest.partition(" ")
        if not message.strip():
            raise InvalidRequest("a place and a message are needed", hint="log 12 x is {x}")
        return self.said(self._add(place, None, message=message.strip()))

    def _delete(self, rest: str) -> str:
        point = self.points.numbered(rest)
        self.points.all.remove(point)
        self.send(point.path)
        return f"Deleted breakpoint {point.id}"

    def _switch(self, rest: str, *, on: bool) -> str:
        point = self.points.numbered(rest)
        point.enabled = on
        self.send(point.path)
        return f"{'Enabled' if on else 'Disabled'} breakpoint {point.id}"

    def _watch(self, rest: str) -> str:
        if not rest:
            rows = [(str(number), expression) for number, expression in self._watches.items()]
            return "\n".join(columns(rows)) or "Nothing is watched"
        number = self.watch(rest)
        value = f" = {self._value_or_problem(rest)}" if self.where is not None else ""
        return f"Watch {number}: {rest}{value}"

    def _unwatch(self, rest: str) -> str:
        if not rest.isdecimal() or int(rest) not in self._watches:
            raise NotFound(f"there is no watch '{rest}'", hint="watch alone lists them")
        del self._watches[int(rest)]
        return f"Deleted watch {rest}"

    def _exceptions(self, rest: str) -> str:
        filters = {"on": ["uncaught"], "uncaught": ["uncaught"], "raised": ["raised"], "off": []}.get(rest or "on")
        if filters is None:
            raise InvalidRequest(f"'{rest}' is neither on, raised nor off", hint="exceptions on")
        self.stop_at_errors(filters)
        if not filters:
            return "Errors stop nothing"
        return "Every error stops" if "raised" in filters else "Errors that nothing catches stop"

    # Going on

    def _go(self, command: str) -> str:
        self._here()
        self._ask(command, threadId=1)
        # The event that says so may come behind the next command.
        self.ran_on()
        raise GoesOn

    def _until(self, rest: str) -> str:
        self._here()
        self._add(rest, None, temporary=True)
        return self._go("continue")

    def _pause(self, _rest: str) -> str:
        if self.where is None:
            self._ask("pause", threadId=1)
        return ""

    def _quit(self, _rest: str) -> str:
        raise Quit

    # Looking

    def _stack(self, _rest: str) -> str:
        where = self._here()
        rows = [
            ("*" if number == where.at else " ", f"#{number}", str(frame["name"]), self._place(frame))
            for number, frame in enumerate(where.frames)
        ]
        return "\n".join(columns(rows))

    def _move(self, by: int) -> str:
        where = self._here()
        index = where.at + by
        if not 0 <= index < len(where.frames):
            raise NotFound("there is no call above this one" if by > 0 else "there is no call below this one")
        return self._look_at(index)

    def _frame(self, rest: str) -> str:
        where = self._here()
        number = rest.lstrip("#")
        if number and not (number.isdecimal() and int(number) < len(where.frames)):
            raise NotFound(f"there is no call {rest}", hint="where lists them")
        return self._look_at(int(number) if number else where.at)

    def _look_at(self, index: int) -> str:
        self.where = self._here()._replace(at=index)
        frame = self.where.frame
        line = self.source_line(frame)
        text = f"#{index} {frame['name']} at {self._place(frame)}"
        return text if line is None else f"{text}\n{numbered(int(frame['line']), line)}"

    def _locals(self, _rest: str) -> str:
        return self._variables(lambda name: name != "Globals") or "No locals"

    def _globals(self, _rest: str) -> str:
        if self.where is None:
            found = self._ask("inspectVariables")["variables"]
            return "\n".join(f"{one['name']} = {one['value']}" for one in found) or "No globals"
        return self._variables(lambda name: name == "Globals") or "No globals"

    def _variables(self, wanted: Callable[[str], bool]) -> str:
        rows: list[str] = []
        for scope in self._ask("scopes", frameId=self._here().frame["id"])["scopes"]:
            if wanted(str(scope["name"])):
                found = self._ask("variables", variablesReference=scope["variablesReference"])["variables"]
                mark = " (upvalue)" if scope["name"] == "Upvalues" else ""
                rows += [f"{one['name']} = {one['value']}{mark}" for one in found]
        return "\n".join(rows)

    def _print(self, rest: str) -> str:
        if not rest:
            raise InvalidRequest("an expression is needed", hint="print x + 1")
        return self._evaluate(rest)

    def _set(self, rest: str) -> str:
        found = _SET.match(rest)
        if found is None:
            raise InvalidRequest("a variable and a value are needed", hint="set x = 5")
        self._evaluate(f"{found[1]} = {found[2]}")
        return f"{found[1]} = {self._evaluate(found[1])}"

    def _eval(self, rest: str) -> str:
        return self._evaluate(rest)

    def _evaluate(self, code: str) -> str:
        frame = self.where.frame["id"] if self.where is not None else None
        return str(self._ask("evaluate", expression=code, frameId=frame, context="repl")["result"])

    def _value_or_problem(self, expression: str) -> str:
        try:
            return self._evaluate(expression)
        except InvalidRequest as problem:
            return f"<{problem.message}>"

    def _list(self, rest: str) -> str:
        frame = self._here().frame
        path = str(frame["source"]["path"])
        if rest and not rest.isdecimal():
            raise InvalidRequest(f"'{rest}' is not a line", hint="list 12")
        lines, middle = self._source(path), int(rest) if rest else int(frame["line"])
        if not lines:
            raise NotFound(f"the text of {self.places.shown(path)} is not known")
        breaks = {point.line for point in self.points.at(path)}
        rows = []
        for number in range(max(1, middle - _AROUND), min(len(lines), middle + _AROUND) + 1):
            mark = ">" if number == frame["line"] else "*" if number in breaks else " "
            rows.append(f"{mark}{numbered(number, lines[number - 1])[1:]}")
        return "\n".join(rows)

    def _source(self, path: str) -> list[str]:
        if path not in self._sources:
            try:
                text = str(self._ask("source", source={"path": path})["content"])
            except InvalidRequest:
                return []
            self._sources[path] = text.split("\n")
        return self._sources[path]

    def _place(self, frame: Content) -> str:
        return f"{self.places.shown(str(frame['source']['path']))}:{frame['line']}"

    def _here(self) -> Where:
        if self.where is None:
            raise InvalidRequest(_NOT_PAUSED)
        return self.where

    def _ask(self, command: str, **arguments: Any) -> Content:
        if self.link is None:
            raise InvalidRequest(_NOT_PAUSED)
        return self.link.ask(command, **arguments)

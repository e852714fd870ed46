"""Runs `llmspell` or the kernel and notes when functions are called and modules imported. Started by its path.

`python probe.py OUT POINTS (llmspell | kernel) WORD...`: POINTS is a file with a line a point, `MODULE:ATTRIBUTE begin`
or `… end` (ATTRIBUTE empty: the import of the module itself); OUT gets a line a mark, `NUMBER NANOSECONDS` of
CLOCK_MONOTONIC, when the process ends. Number -1 is the first line of this file.

Wraps what is named while modules are imported, so that importing modules get the wrapped functions. Imports nothing
that an interpreter has not imported at its start, since that would be missing from the command's own time.
"""

from __future__ import annotations

import time

_UP = time.monotonic_ns()

import os  # noqa: E402 — after the clock
import sys  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_COROUTINE = 0x80


class Marks:
    """What was reached, and when: (number of the point, nanoseconds), in the order in which it happened."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []

    def take(self, number: int) -> None:
        """The point is reached now."""
        self.taken.append((number, time.monotonic_ns()))

    def write(self, path: str) -> None:
        """Saves them all."""
        with open(path, "w") as file:
            file.writelines(f"{number} {when}\n" for number, when in self.taken)


class Watch:
    """Finds modules as the interpreter would, and wraps the functions that are points once theirs is imported."""

    def __init__(self, points: Sequence[tuple[str, str]], marks: Marks) -> None:
        self._marks = marks
        self._points: dict[str, dict[str, dict[str, int]]] = {}
        for number, (place, moment) in enumerate(points):
            module, _, attribute = place.partition(":")
            self._points.setdefault(module, {}).setdefault(attribute, {})[moment] = number

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The other finders' answer, for modules with points; the interpreter asks them itself about all others."""
        if name not in self._points:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                self._watch_execution(name, spec.loader)
                return spec
        return None

    def wrap(self, module: ModuleType) -> None:
        """Wraps the functions of a module that is imported already."""
        for attribute, moments in self._points.get(module.__name__, {}).items():
            if attribute:
                owner: Any = module
                *above, last = attribute.split(".")
                for name in above:
                    owner = getattr(owner, name)
                setattr(owner, last, self._wrapped(vars(owner)[last], moments))

    def _watch_execution(self, name: str, loader: Any) -> None:
        execute = loader.exec_module
        moments = self._points[name].get("", {})

        def exec_module(module: ModuleType) -> None:
            self._take(moments, "begin")
            execute(module)
            self._take(moments, "end")
            self.wrap(module)

        loader.exec_module = exec_module

    def _take(self, moments: Mapping[str, int], moment: str) -> None:
        if moment in moments:
            self._marks.take(moments[moment])

    def _wrapped(self, function: Any, moments: Mapping[str, int]) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self._wrapped(function.__func__, moments))
        watched = self._coroutine if function.__code__.co_flags & _COROUTINE else self._plain
        return watched(function, moments)

    def _plain(self, function: Callable[..., Any], moments: Mapping[str, int]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            self._take(moments, "begin")
            try:
                return function(*args, **keywords)
            finally:
                self._take(moments, "end")

        return call

    def _coroutine(self, function: Callable[..., Any], moments: Mapping[str, int]) -> Callable[..., Any]:
        async def call(*args: Any, **keywords: Any) -> Any:
            self._take(moments, "begin")
            try:
                return await function(*args, **keywords)
            finally:
                self._take(moments, "end")

        return call


def _main() -> None:
    out, points_file, what, *words = sys.argv[1:]
    with open(points_file) as file:
        points = [(line.split()[0], line.split()[1]) for line in file]
    marks = Marks()
    marks.taken.append((-1, _UP))
    sys.path[0] = os.path.dirname(sys.executable)
    sys.meta_path.insert(0, Watch(points, marks))
    end = os._exit

    def leave(status: int) -> None:
        marks.take(points.index(("os:_exit", "begin")))
        marks.write(out)
        end(status)

    os._exit = leave  # type: ignore[assignment]
    status = 0
    try:
        if what == "kernel":
            sys.argv = ["llmspell_kernel", *words]
            from llmspell_kernel.__main__ import main as run_kernel

            status = run_kernel()
        else:
            sys.argv = ["llmspell", *words]
            from llmspell_cli.main import main as run_command

            run_command()
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else 1
    os._exit(status)


if __name__ == "__main__":
    _main()

"""Functions of the script's, called at a place of a workflow; what they change in shared data and state is taken over.

The script's side wraps each function: it is given what the arguments are, and returns the value with what has changed.
One function of an execution at a time: the shared data that it is told are those that the one before has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from llmspell_kernel.parts import StepSink, followed, part_of
from llmspell_kernel.request import Content
from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
from llmspell_kernel.services.workflows.place import Place
from llmspell_kernel.services.workflows.time_limits import time_limit

Form = Literal["context", "result", "error", "plain"]


class Argument(NamedTuple):
    """An argument and what it is to the script: a context, a result, an error with message and code, or plain."""

    form: Form
    value: Any


def plain(value: Any) -> Argument:
    """Data as it is."""
    return Argument("plain", value)


class Functions:
    """The script's functions, for one execution."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._turn = asyncio.Lock()

    async def call(
        self,
        function: ScriptFunction,
        place: Place,
        *arguments: Argument,
        step: str | None = None,
        more: Mapping[str, Any] | None = None,
        with_context: bool = False,
        limit_s: float | None = None,
        what: str = "the function",
        is_step: bool = False,
    ) -> Any:
        """The function's value; its time counts from when the script's worker runs it.

        `with_context` puts the context of this place in front, with `more` in it. `is_step`: it is all that the step
        does, and recorded as that.

        Raises:
            Timeout: it took longer than `limit_s`.
            ScriptError, NotFound, …: as `Contexts.invoke`.
        """
        request = place.request
        async with self._turn:
            given: list[Argument] = list(arguments)
            if with_context:
                given.insert(0, Argument("context", place.context(step, **(more or {}))))
            forms = [one.form for one in given]
            content = {"action": "step", "step": step, "path": list(place.path)}
            with part_of(
                request,
                content,
                msg_type=request.msg_type,
                sink=StepSink(request),
            ) as part:
                async with time_limit(limit_s, what, begun=False) as limit:
                    loop = asyncio.get_running_loop()

                    def begin() -> None:
                        if limit_s is not None and not limit.expired():
                            limit.reschedule(loop.time() + limit_s)

                    async def work(_content: Content) -> Any:
                        said = await self._contexts.invoke(
                            part,
                            function,
                            [forms, *(one.value for one in given)],
                            self._contexts.output_of(function),
                            on_begin=begin,
                        )
                        return _taken(said, place)

                    if not is_step or step is None:
                        return await work(content)
                    return await followed(part, work, shown=lambda value: {"output": value}, step=place.step_name(step))


async def call_once(place: Place, name: str) -> None:
    """Calls a callback of the workflow that belongs to its beginning; not again when it is resumed."""
    function = place.definition.callbacks.get(name)
    if function is None or place.run.journal.decided((*place.path, name))[0]:
        return
    await place.run.functions.call(function, place)
    place.run.journal.decide((*place.path, name), True)


def _taken(said: Any, place: Place) -> Any:
    """The value of a wrapped function, after what it changed was taken over."""
    if not isinstance(said, Mapping):
        return said
    names = place.names
    for target, changed in ((names.shared, said.get("shared")), (names.state, said.get("state"))):
        if isinstance(changed, Mapping):
            target.update(changed)
    for target, gone in ((names.shared, said.get("shared_gone")), (names.state, said.get("state_gone"))):
        if isinstance(gone, Sequence):
            for key in gone:
                target.pop(key, None)
    return said.get("value")

"""Which models are in memory: one load for all waiting requests, a byte budget, keep-alive, pins, and crashes.

Knows no engine and no files: how a model is loaded stands in its `Blueprint`, which request is next in its queue.
Nothing here polls; everything happens because a request came or went, a timer ran out or a worker ended. What the
workers really hold is looked at when a request has ended.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Literal

from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import Cancelled, ModelInUse, WorkerCrashed
from llmspell_providers.residency import journal
from llmspell_providers.residency.memory import available_bytes
from llmspell_providers.residency.pressure import relieve
from llmspell_providers.residency.resident import Blueprint, Resident, W
from llmspell_providers.residency.room import Room, out_of_memory, room_beside, victims_for, wanted_otherwise

AUTO_SHARE = 0.8
"""The part of the available memory that models may have when the settings say `auto`."""
LONGEST_BACK_OFF_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn(Generic[W]):
    """A worker with a free slot for one request, and how long that took to get, in milliseconds."""

    worker: W
    queue_ms: float
    load_ms: float


class Residency(Generic[W]):
    """The models in memory; belongs to one event loop."""

    def __init__(
        self,
        *,
        memory_budget: Literal["auto"] | int,
        keep_alive_s: float,
        max_queue: int,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        self.keep_alive_s = keep_alive_s
        self._memory_budget = memory_budget
        self._max_queue = max_queue
        self._available = available
        self._models: dict[str, Resident[W]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._crashes: dict[str, int] = {}
        self._uses = 0
        self._relieving: asyncio.Task[None] | None = None
        self._beside: Callable[[], int] = lambda: 0

    def count_beside(self, memory_bytes: Callable[[], int]) -> None:
        """Other processes of the kernel share a fixed budget; of what is available they have taken their part."""
        self._beside = memory_bytes

    @property
    def models(self) -> list[Resident[W]]:
        """Everything loaded or loading, longest unused first."""
        return sorted(self._models.values(), key=lambda model: model.used)

    @property
    def used_bytes(self) -> int:
        """What all workers hold now."""
        return sum(model.memory_bytes for model in self._models.values())

    def get(self, name: str) -> Resident[W] | None:
        """The model, if it is loaded or loading."""
        return self._models.get(name)

    def available_bytes(self) -> int:
        """What the machine, or its container, can still give to new processes."""
        return self._available()

    def budget_bytes(self) -> int:
        """What all loaded models may hold together.

        Without what is held beside them. `auto` is 80 % of what would be available with none of them loaded, read now:
        other programs come and go. Mapped weights are available all the time, as the system counts: they're not added.
        """
        if self._memory_budget != "auto":
            return max(0, self._memory_budget - self._beside())
        held = sum(max(0, model.memory_bytes - model.blueprint.mapped_bytes) for model in self._models.values())
        return int(AUTO_SHARE * (self._available() + held))

    def room(self, name: str) -> Room:
        """What the budget leaves for a model."""
        others = [other for other in self._models.values() if other.name != name and other.reserved]
        return room_beside(self.budget_bytes(), others)

    def next_to_go(self) -> Resident[W] | None:
        """The model that would be unloaded first if another needed its memory."""
        return next((model for model in self.models if model.evictable), None)

    @asynccontextmanager
    async def use(self, blueprint: Blueprint[W], *, client: str) -> AsyncIterator[Turn[W]]:
        """A slot of the model, loaded first if it isn't, for the time of the block.

        One that is idle and runs otherwise than the blueprint wants is loaded anew.

        Raises:
            ModelInUse: it answers now, and otherwise than the blueprint wants.
            Busy: too many requests wait for the model.
            OutOfMemory: it, or what the request adds to it, does not fit beside what must stay.
            ModelLoadFailed, WorkerCrashed: the load failed.
            Cancelled: it was unloaded by force in the meantime.
        """
        arrived = time.monotonic()
        model = self._enter(blueprint)
        try:
            async with model.queue.turn(client):
                waited_ms = (time.monotonic() - arrived) * 1000
                load_ms = model.load_part_ms(arrived)
                try:
                    if model.worker is None:
                        raise WorkerCrashed(f"the worker of '{model.name}' ended before the request began")
                    await self._make_room_to_grow(model, blueprint.request_bytes)
                    yield Turn(model.worker, queue_ms=max(0.0, waited_ms - load_ms), load_ms=load_ms)
                except WorkerCrashed:
                    if model.ended_because is not None:
                        raise Cancelled(f"cancelled: {model.ended_because}") from None
                    raise
                self._crashes.pop(model.name, None)
        finally:
            self._leave(model)
            self._look_at_memory()

    async def load(self, blueprint: Blueprint[W], *, keep_alive_s: float | None, pin: bool) -> Resident[W]:
        """Loads a model, or keeps a loaded one for another time; raises as `use` does."""
        model = self._enter(blueprint)
        try:
            if keep_alive_s is not None:
                model.keep_alive_s = keep_alive_s
            model.pinned = model.pinned or pin
            while model.loading is not None:
                task = model.loading
                await asyncio.wait([task])
                if model.ended_because is not None:
                    raise Cancelled(f"cancelled: {model.ended_because}")
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise copy.copy(error)
            if model.worker is None:
                raise WorkerCrashed(f"the worker of '{model.name}' ended right after it had loaded")
        finally:
            self._leave(model)
            self._look_at_memory()
        return model

    def unpin(self, name: str) -> None:
        """Lets a model go when its keep-alive is over; nothing where it is not loaded."""
        model = self._models.get(name)
        if model is not None:
            model.pinned = False
            if model.worker is not None and not model.users:
                self._restart_timer(model)

    def reconfigure(self, *, keep_alive_s: float, max_queue: int) -> None:
        """Takes over new limits, for loaded models too; one that was given a keep-alive of its own has that."""
        before, self.keep_alive_s = self.keep_alive_s, keep_alive_s
        self._max_queue = max_queue
        for model in self.models:
            model.queue.max_waiting = max_queue
            if model.keep_alive_s == before != keep_alive_s:
                model.keep_alive_s = keep_alive_s
                if model.worker is not None and not model.users:
                    self._restart_timer(model)

    async def unload(self, name: str, *, force: bool) -> int:
        """Ends a model's worker; returns the bytes that it held, 0 when it was not loaded.

        Raises:
            ModelInUse: requests need it, and `force` is not given.
        """
        model = self._models.get(name)
        if model is None:
            return 0
        if model.users and not force:
            raise ModelInUse(
                f"Model '{name}' is in use: it {model.reason(next_to_go=False)}",
                hint="wait until it is done, or use --force",
                details={"model": name, "requests": model.users},
            )
        freed = model.memory_bytes
        reason = f"'{name}' was unloaded by force" if model.users else "it was asked for"
        await asyncio.wait([self._end(model, reason)])
        return freed

    async def close(self) -> None:
        """Ends all workers and returns when they are gone."""
        for model in list(self._models.values()):
            self._end(model, "the kernel is shutting down")
        if self._relieving is not None:
            await asyncio.wait([self._relieving])
        if self._endings:
            await asyncio.wait(self._endings)

    def _enter(self, blueprint: Blueprint[W]) -> Resident[W]:
        model = self._models.get(blueprint.name)
        if model is None:
            model = Resident(blueprint, keep_alive_s=self.keep_alive_s, max_queue=self._max_queue)
            self._models[blueprint.name] = model
        elif not model.suits(blueprint):
            model = self._replace(model, blueprint)
        self._uses += 1
        model.used = self._uses
        model.users += 1
        model.stop_timer()
        if model.worker is None and model.loading is None:
            self._start_load(model)
        return model

    def _replace(self, old: Resident[W], blueprint: Blueprint[W]) -> Resident[W]:
        """A model in the place of one that runs otherwise than is wanted, pinned and kept as that one was."""
        if old.users:
            raise wanted_otherwise(old, blueprint)
        model = Resident(blueprint, keep_alive_s=old.keep_alive_s, max_queue=self._max_queue)
        model.pinned, model.loads_after = old.pinned, self._end(old, f"it was wanted {blueprint.wish}")
        self._models[model.name] = model
        return model

    def _leave(self, model: Resident[W]) -> None:
        model.users -= 1
        if model.users or model.ended_because is not None:
            return
        self._uses += 1
        model.used = self._uses
        if model.loading is not None:
            # The last request that waited for this load has gone.
            model.loading.cancel()
        elif model.worker is not None:
            model.start_timer(lambda: self._expired(model))
        else:
            self._forget(model)

    def _look_at_memory(self) -> None:
        """Holds the budget, if the workers have come to hold more; one relief at a time."""
        if self._relieving is None and self.used_bytes > self.budget_bytes():
            task = asyncio.get_running_loop().create_task(relieve(self, self._end), name="relieve memory")
            self._relieving = task
            task.add_done_callback(self._relieved)

    def _relieved(self, task: asyncio.Task[None]) -> None:
        self._relieving = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the memory budget could not be held", exc_info=error)

    def _restart_timer(self, model: Resident[W]) -> None:
        model.restart_timer(lambda: self._expired(model))

    def _expired(self, model: Resident[W]) -> None:
        if not model.users and model.ended_because is None:
            self._end(model, "its keep-alive is over")

    def _start_load(self, model: Resident[W]) -> None:
        model.loading = asyncio.get_running_loop().create_task(self._load(model), name=f"load {model.name}")
        model.loading.add_done_callback(lambda task: self._load_ended(model, task))

    async def _load(self, model: Resident[W]) -> None:
        if model.loads_after is not None:
            await asyncio.wait([model.loads_after])
            model.loads_after = None
        model.backs_off_s = self._back_off_s(model.name)
        if model.backs_off_s:
            journal.backs_off(model)
            await asyncio.sleep(model.backs_off_s)
            model.backs_off_s = 0.0
        model.load_began = time.monotonic()
        leaving = [self._end(victim, f"'{model.name}' needed its memory") for victim in self._make_room(model)]
        if leaving:
            await asyncio.wait(leaving)
        exited = False

        def on_exit() -> None:
            nonlocal exited
            exited = True
            self._exited(model, worker)

        worker: W | None = None
        worker = await model.blueprint.start(on_exit)
        if exited:
            raise WorkerCrashed(f"the worker of '{model.name}' ended right after it had loaded")
        model.worker = worker
        model.load_ms = (time.monotonic() - model.load_began) * 1000
        journal.loaded(model)

    def _load_ended(self, model: Resident[W], task: asyncio.Task[None]) -> None:
        if model.loading is not task:
            return  # crashed right after the load: the next one is under way
        model.loading = None
        if model.ended_because is not None:
            return
        if task.cancelled():
            journal.given_up(model)
            self._forget(model)  # a request may have come while the load was being ended
            if model.users:
                self._models[model.name] = model
                self._start_load(model)
            return
        error = task.exception()
        if error is not None:
            journal.not_loaded(model, error)
            if isinstance(error, WorkerCrashed):
                self._crashes[model.name] = self._crashes.get(model.name, 0) + 1
            self._forget(model)
            model.queue.fail_waiting(error)
            return
        worker = model.worker
        assert worker is not None  # the load was neither cancelled nor failed, and a crash has started another one
        model.queue.resize(min(model.blueprint.slots, worker.loaded.slots))
        if not model.users:
            model.start_timer(lambda: self._expired(model))

    def _exited(self, model: Resident[W], worker: W | None) -> None:
        """Handles a worker's end; if that was not asked for, it crashed, and requests still queued get another."""
        if worker is None or model.worker is not worker or model.ended_because is not None:
            return
        self._crashes[model.name] = self._crashes.get(model.name, 0) + 1
        model.worker = None
        model.reserved = False
        model.stop_timer()
        model.queue.resize(0)
        model.loading = None
        if model.users > model.queue.running:
            self._start_load(model)
        elif not model.users:
            self._forget(model)

    def _back_off_s(self, name: str) -> float:
        """Nothing after the first crash, then 1, 2, 4 … seconds, until a request has succeeded."""
        crashes = self._crashes.get(name, 0)
        return 0.0 if crashes < 2 else min(2.0 ** (crashes - 2), LONGEST_BACK_OFF_S)

    def _make_room(self, model: Resident[W]) -> list[Resident[W]]:
        """Takes the bytes for a model; returns what has to be unloaded for it.

        Raises:
            OutOfMemory: it does not fit even then.
        """
        needed = model.expected_bytes
        budget = self.budget_bytes()
        others = [other for other in self.models if other is not model and other.reserved]
        victims = victims_for(needed, budget, others)
        if victims is None:
            raise out_of_memory(model.name, needed, budget, others)
        model.reserved = True
        return victims

    async def _make_room_to_grow(self, model: Resident[W], request_bytes: int) -> None:
        """Takes the bytes that a request adds to a loaded model beyond what was taken for it; raises `OutOfMemory`."""
        more = request_bytes - model.request_bytes
        if more <= 0:
            return
        budget = self.budget_bytes()
        others = [other for other in self.models if other.reserved]
        victims = victims_for(more, budget, others)  # not this one: it is in use
        if victims is None:
            needed = model.budgeted_bytes + more
            raise out_of_memory(model.name, needed, budget, [other for other in others if other is not model])
        model.request_bytes = request_bytes
        leaving = [self._end(victim, f"'{model.name}' needed its memory") for victim in victims]
        if leaving:
            await asyncio.wait(leaving)

    def _end(self, model: Resident[W], reason: str) -> asyncio.Task[None]:
        """Takes a model out at once and ends its worker in the background."""
        journal.leaves(model, reason)
        model.ended_because = reason
        model.stop_timer()
        self._forget(model)
        model.queue.fail_waiting(Cancelled(f"cancelled: {reason}"))
        task = of_no_request(asyncio.get_running_loop().create_task, self._end_worker(model), name=f"end {model.name}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _end_worker(self, model: Resident[W]) -> None:
        if model.loading is not None:
            # A load that is being cancelled waits for the end of its worker; a second cancel would cut that short.
            if not model.loading.cancelling():
                model.loading.cancel()
            await asyncio.wait([model.loading])
        if model.worker is not None:
            await model.worker.end()

    def _forget(self, model: Resident[W]) -> None:
        model.reserved = model.reserved and model.worker is not None
        if self._models.get(model.name) is model:
            del self._models[model.name]

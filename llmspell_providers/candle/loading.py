"""How an installed model gets into a worker process: launch, expected memory, lock, what it took in the end."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_protocol.background import of_no_request
from llmspell_providers.candle.capabilities import LACKS, engine_of
from llmspell_providers.candle.context_size import ContextSize, Wish, choose, demand_trained
from llmspell_providers.candle.devices import detected, device_name, of_another_platform
from llmspell_providers.candle.engine import SHORTEST_LOAD_DEADLINE_S, Launch
from llmspell_providers.candle.memory_limit import memory_limit_bytes
from llmspell_providers.candle.server_binary import NAME as SERVER_ENGINE
from llmspell_providers.candle.speculation import Wanted
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.damage import changed_later
from llmspell_providers.library.manifest import ManifestInvalid
from llmspell_providers.library.names import short_segment
from llmspell_providers.library.store import Hold, Store
from llmspell_providers.residency.estimate import Estimate, Setting, estimate, fitted
from llmspell_providers.residency.memory import available_bytes
from llmspell_providers.residency.resident import Blueprint
from llmspell_providers.residency.room import Room

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CandleSettings
    from llmspell_profiles.schema.settings import ModelsSettings
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.library.manifest import Manifest

_SAME_RATIO = 0.01
_KEEPS_ALL = "llama-cpp-python"
"""It keeps all tokens in layers with a window, so that it can go back to any."""
_SLOWEST_DISK_BYTES_S = 5_000_000
"""The speed of memory cards and home wireless networks: the slowest that a model is loaded from."""

_log = logging.getLogger(__name__)


class Loader:
    """Makes the blueprints of one backend's models; belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        settings: CandleSettings,
        models: ModelsSettings,
        *,
        log_directory: Path,
        server_path: Callable[[], Path | None],
    ) -> None:
        """`server_path` finds the binary of an engine that is one."""
        self._store = store
        self._settings = settings
        self._models = models
        self._log_directory = log_directory
        self._server_path = server_path
        self._recordings: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Waits for what is still being written."""
        if self._recordings:
            await asyncio.wait(self._recordings)

    def engine(self, manifest: Manifest) -> str:
        """What loads a model."""
        return engine_of(manifest.format, self._settings.engine)

    def blueprint(
        self,
        manifest: Manifest,
        *,
        name: str,
        budget_bytes: int,
        room: Room,
        device: str | None = None,
        speculation: Wanted | None = None,
        num_ctx: int | None = None,
        context_wish: Wish = "any",
        embeds: bool = False,
    ) -> Blueprint[ModelProcess]:
        """How a model is to be loaded, and what it will take.

        `device`, `speculation` and `num_ctx`, a context in tokens, go before those of the settings. `embeds` says that
        texts are to be embedded, for which a model that chats needs more memory.

        Raises:
            InvalidRequest: `num_ctx` is more than the model was trained for.
        """
        settings = self._settings
        engine = self.engine(manifest)
        any_context = Setting(
            engine=engine,
            device=device or settings.device,
            context_size=0,
            slots=1 if "parallel" in LACKS[engine] else settings.max_concurrent,
            batch_size=settings.batch_size,
            embeds=embeds,
            full_windows=engine == _KEEPS_ALL,
        )
        context = self._context(manifest, any_context, num_ctx, room)
        setting = replace(any_context, context_size=context.tokens)
        expected = fitted(
            estimate(manifest, setting),
            budget_bytes=budget_bytes,
            prompt_cache=0 if "prompt_cache" in LACKS[engine] else self._models.prompt_cache_bytes,
        )
        window = self._models.stream_window_ms
        launch = Launch(
            engine=engine,
            path=self._store.path(manifest),
            model=manifest.id,
            format=manifest.format,
            device=setting.device,
            slots=settings.max_concurrent,
            context_size=setting.context_size,
            batch_size=settings.batch_size,
            threads=settings.cpu_threads,
            spin_count=settings.spin_count,
            speculation=speculation or settings.speculation,
            prompt_cache_bytes=expected.prompt_cache_bytes,
            checkpoints=expected.checkpoints,
            flash_attention=settings.use_flash_attention,
            stream_window_ms=None if window == "auto" else window,
            server_path=self._server_path() if engine == SERVER_ENGINE else None,
            log_path=self._log_directory / f"model-{short_segment(manifest.id)}.log",
            load_deadline_s=load_deadline_s(manifest.size_bytes),
        )
        return Blueprint(
            name=name,
            engine=engine,
            slots=settings.max_concurrent,
            estimated_bytes=expected.loaded_bytes,
            growth_bytes=expected.growth_bytes,
            mapped_bytes=expected.mapped_bytes,
            context_size=context.tokens,
            context_reason=context.reason,
            context_wish="any" if num_ctx is None else context_wish,
            request_bytes=expected.request_bytes,
            start=lambda on_exit: self._start(manifest, launch, setting, expected, on_exit),
            # A request for `auto` takes it where it is, and as it drafts.
            device=None if device in (None, "auto") else device_name(device, platform=sys.platform),
            speculation=None if speculation == "auto" else speculation,
            learn=lambda held: self._learn(manifest, setting, expected, held - expected.growth_bytes),
        )

    def _context(self, manifest: Manifest, setting: Setting, num_ctx: int | None, room: Room) -> ContextSize:
        """The context of a slot: as it is asked for, else as the settings, the model and the memory have it."""
        if num_ctx is not None:
            demand_trained(manifest.id, num_ctx, manifest.context_length)
            return ContextSize(num_ctx, "as num_ctx asks")

        def needs(tokens: int) -> int:
            expected = estimate(manifest, replace(setting, context_size=tokens))
            return expected.loaded_bytes + expected.growth_bytes + expected.request_bytes

        return choose(
            self._settings.context_size,
            manifest.context_length,
            # Files that do not say what they are for are asked when they are loaded.
            chats=not manifest.capabilities or "chat" in manifest.capabilities,
            room=room,
            needs=needs,
        )

    async def _start(
        self, manifest: Manifest, launch: Launch, setting: Setting, expected: Estimate, on_exit: Callable[[], None]
    ) -> ModelProcess:
        """Loads a model into a process, with the manifest's lock held until the process has ended."""
        # Spawning is only needed where something is loaded.
        from llmspell_providers.candle.process import ModelProcess

        hold = await self._hold(manifest)
        limit = memory_limit_bytes(
            expected,
            self._models.worker_memory_bytes,
            model_format=manifest.format,
            cores=os.cpu_count() or 1,
            available_bytes=available_bytes(),
        )
        launch = replace(launch, memory_bytes=limit)

        def ended() -> None:
            try:
                hold.close()
            finally:
                on_exit()

        with ExitStack() as failed:
            failed.callback(hold.close)
            changed = await asyncio.to_thread(changed_later, manifest, self._store.directory_of(manifest))
            process = await ModelProcess.start(launch, on_exit=ended)
            failed.pop_all()
        if changed is not None:
            process.loaded = replace(process.loaded, warnings=[*process.loaded.warnings, changed])
        _log_device(process)
        found = process.loaded.memory
        if manifest.memory is None and found is not None:
            # From before this was noted at the import; what was learned then belongs to another calculation.
            self._write(lambda: self._store.record_memory(manifest, ContextMemory(**found)), manifest)
        else:
            self._learn(manifest, setting, expected, process.loaded.memory_bytes)
        return process

    def _learn(self, manifest: Manifest, setting: Setting, expected: Estimate, took: int) -> None:
        """Corrects the next estimate by the bytes that were taken at a load."""
        if manifest.format == "safetensors":
            return  # its memory right after the load is not what it comes to take
        ratio = took / expected.unscaled_bytes
        if abs(expected.ratio - ratio) >= _SAME_RATIO:
            self._write(lambda: self._store.record_memory_ratio(manifest, setting.name, ratio), manifest)

    def _write(self, write: Callable[[], object], manifest: Manifest) -> None:
        def run() -> None:
            try:
                write()
            except (OSError, ManifestInvalid) as error:
                # Removed since, or a full disk: the next load is estimated without it.
                _log.warning("the memory that %s takes could not be noted: %s", manifest.id, error)

        recording = of_no_request(asyncio.get_running_loop().create_task, asyncio.to_thread(run))
        self._recordings.add(recording)
        recording.add_done_callback(self._recordings.discard)

    async def _hold(self, manifest: Manifest) -> Hold:
        # A thread, because another kernel may be removing the model at this moment.
        asked = asyncio.ensure_future(asyncio.to_thread(self._store.hold, manifest))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_close_hold)
            raise


def load_deadline_s(size_bytes: int) -> float:
    """When a load is taken for one that never ends, so late that no honest one is: people have Ctrl-C before."""
    return SHORTEST_LOAD_DEADLINE_S + size_bytes / _SLOWEST_DISK_BYTES_S


def _log_device(process: ModelProcess) -> None:
    """What is worth knowing about a load; lines about devices have fixed texts."""
    launch, loaded = process.launch, process.loaded
    if launch.device == "auto":
        _log.info("%s", detected(loaded.device, platform=sys.platform))
    foreign = of_another_platform(launch.device, platform=sys.platform)
    for warning in loaded.warnings:
        _log.warning("%s", warning if warning == foreign else f"{launch.model}: {warning}")


def _close_hold(asked: asyncio.Future[Hold]) -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().close()

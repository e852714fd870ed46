"""What the rows share: the model, a home, kernels and baselines, started when first needed and ended together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

from benchmarks.kernel_process import MODEL, Home, MeasuredKernel
from benchmarks.raw_engine import EngineOptions, RawEngine
from benchmarks.rounds import Referee
from llmspell_profiles.schema.providers import CandleSettings
from llmspell_providers.candle.cpu import physical_cores
from tests.support.models import smollm2

MOCK_TOKENS = 5000
"""Words of the mock model's reply."""
_EACH_TOKEN_A_STEP = {"LLMSPELL_PROVIDERS__CANDLE__SPECULATION": "off"}


class Stage:
    """Everything that a row may use; a context manager."""

    def __init__(self, rounds: int) -> None:
        self.referee = Referee(rounds)
        self.model_file = smollm2()
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def home(self) -> Home:
        """A home with the small model."""
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="llmspell-bench-"))
        return Home(Path(directory) / "home", self.model_file)

    @cached_property
    def directory(self) -> Path:
        """A place for files, gone with the stage."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="llmspell-bench-")))

    def callback(self, function: Callable[[], None]) -> None:
        """Something to be called when the stage ends."""
        self._stack.callback(function)

    @cached_property
    def engine_options(self) -> EngineOptions:
        """What the kernel's worker gets by default."""
        candle = CandleSettings()
        return EngineOptions(
            path=str(self.model_file),
            slots=candle.max_concurrent,
            context_size=self._context_size(),
            batch_size=candle.batch_size,
            threads=candle.cpu_threads or physical_cores(),
            spin_count=candle.spin_count,
            prompt_cache_bytes=self.model_file.stat().st_size,
            flash_attention=candle.use_flash_attention,
        )

    def _context_size(self) -> int:
        """What a kernel chooses for this model on this machine."""
        kernel = MeasuredKernel(self.home)
        try:
            kernel.ask("load", model=MODEL)
            loaded = kernel.loaded()
        finally:
            kernel.close()
        assert loaded is not None
        return int(loaded["context_size"])

    @cached_property
    def raw(self) -> RawEngine:
        """The engine alone, with the kernel's options."""
        return self.keep_raw(self.engine_options)

    @cached_property
    def raw_default_batch(self) -> RawEngine:
        """The engine alone, with its own batch sizes."""
        return self.keep_raw(replace(self.engine_options, batch_size=None))

    @cached_property
    def kernel(self) -> MeasuredKernel:
        """A kernel as it comes, but without speculation: each token is a step, as in the engine beside it."""
        return self.keep_kernel(_EACH_TOKEN_A_STEP)

    @cached_property
    def speculating_kernel(self) -> MeasuredKernel:
        """A kernel as it comes."""
        return self.keep_kernel({})

    @cached_property
    def kernel_without_window(self) -> MeasuredKernel:
        """A kernel whose workers send every token at once."""
        return self.keep_kernel({**_EACH_TOKEN_A_STEP, "LLMSPELL_MODELS__STREAM_WINDOW_MS": "0"})

    @cached_property
    def mock_kernel(self) -> MeasuredKernel:
        """A kernel whose mock model says `MOCK_TOKENS` words."""
        kernel = MeasuredKernel(self.home, mock_reply="word " * MOCK_TOKENS)
        self._stack.callback(kernel.close)
        return kernel

    def fresh_kernel(self) -> MeasuredKernel:
        """A kernel with a home of its own, which has never loaded anything."""
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="llmspell-bench-"))
        kernel = MeasuredKernel(Home(Path(directory) / "home", self.model_file))
        self._stack.callback(kernel.close)
        return kernel

    def keep_raw(self, options: EngineOptions) -> RawEngine:
        """A baseline that ends with the stage."""
        engine = RawEngine(options)
        self._stack.callback(engine.close)
        return engine

    def keep_kernel(self, settings: dict[str, str]) -> MeasuredKernel:
        """A kernel that ends with the stage, its model loaded; `settings` are environment variables."""
        kernel = MeasuredKernel(self.home, settings=settings)
        self._stack.callback(kernel.close)
        kernel.ask("load", model=MODEL, keep_alive=-1)
        return kernel

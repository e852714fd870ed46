"""The torch engine in the test's own process: loaded from a directory, asked on threads, its steps counted.

Imports torch only when a model is loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_providers.candle.engine import Launch, Outcome, Prepared

if TYPE_CHECKING:
    from llmspell_providers.candle.transformer.engine import TorchEngine

DEADLINE_S = 60.0


class RecordedReply:
    """A reply that keeps its pieces; `on_text` sees each as it comes, on the thread that generates."""

    def __init__(self, on_text: Callable[[RecordedReply], None] = lambda reply: None) -> None:
        self.cancelled = False
        self.pieces: list[str] = []
        self.read: list[tuple[int, int]] = []
        self.began = threading.Event()
        self._on_text = on_text

    def text(self, piece: str) -> None:
        self.pieces.append(piece)
        self._on_text(self)

    def reasoning(self, piece: str) -> None:
        raise AssertionError("the engine has no reasoning")

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None:
        self.read.append((processed, total))
        self.began.set()


class LoadedEngine:
    """A loaded engine; `steps` counts the decoder's passes and how many rows each had."""

    def __init__(self, engine: TorchEngine) -> None:
        self.engine = engine
        self.steps: list[int] = []
        self.before_step: Callable[[], None] = lambda: None
        self._pool = ThreadPoolExecutor(16)
        self._hook = engine._weights.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, model: Any, args: Any, inputs: Mapping[str, Any]) -> None:
        ids = inputs["decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"]
        self.steps.append(ids.shape[0])
        self.before_step()

    def start(self, text: str, reply: RecordedReply | None = None, **options: Any) -> Future[Outcome]:
        """A greedy raw request, unless told otherwise, on a thread of its own."""
        request = {"model": "test", "prompt": text, "raw": True, "options": {"temperature": 0.0, **options}}
        return self._pool.submit(self.engine.chat, request, reply or RecordedReply())

    def ask(self, text: str, reply: RecordedReply | None = None, **options: Any) -> Outcome:
        """The end of a greedy raw request."""
        return self.start(text, reply, **options).result(DEADLINE_S)

    def ask_in_turn(self, first: str, second: str, *, after_pieces: int, max_tokens: int) -> list[str]:
        """The replies to two requests, of which the second comes when the first has brought so many pieces."""
        later: list[Future[Outcome]] = []

        def come(reply: RecordedReply) -> None:
            if len(reply.pieces) == after_pieces:
                later.append(self.start(second, max_tokens=max_tokens))

        return [self.ask(first, RecordedReply(come), max_tokens=max_tokens).text, *texts(later)]

    def close(self) -> None:
        self.engine.close()
        self._hook.remove()
        self._pool.shutdown()


@contextmanager
def loaded(
    directory: Path, *, slots: int = 4, context_size: int = 512, batch_size: int = 256
) -> Iterator[LoadedEngine]:
    """The engine with the model in a directory."""
    from llmspell_providers.candle.transformer.engine import TorchEngine

    launch = Launch(
        engine="torch",
        path=directory / "model.safetensors",
        model="test",
        format="safetensors",
        slots=slots,
        device="cpu",
    )
    prepared = Prepared(
        launch=launch,
        threads=1,
        context_size=context_size,
        batch_size=batch_size,
        can_chat=True,
        has_template=False,
        tools=False,
        pooling=None,
        socket_directory=directory,
    )
    engine, warnings = TorchEngine.load(prepared)
    assert warnings == []
    subject = LoadedEngine(engine)
    try:
        yield subject
    finally:
        subject.close()


def texts(futures: Sequence[Future[Outcome]]) -> list[str]:
    """The replies, when they are there."""
    return [future.result(DEADLINE_S).text for future in futures]

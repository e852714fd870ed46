# Written from llmspell/asynchronous/models.py by `make schemas`.
"""The models of a kernel: which there are, which are in memory, and bringing them there."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell.synchronous.asking import Asking
from llmspell_protocol.areas.model import (
    ModelListReply,
    ModelPsReply,
    ModelPullReply,
    ModelUnloadReply,
    UnloadedModel,
)
from llmspell_protocol.models import LoadedModel, LocalModel, ModelInfo, Speculation

_REQUEST = "model_request"


class Models:
    """`kernel.models`: which there are, which are in memory, and bringing them there."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self, backend: str | None = None) -> Sequence[LocalModel]:
        """The models on disk, of one backend or all.

        A backend that can't be asked has none; `llmspell model status` says why.
        """
        wanted = {"action": "list", "backend": backend}
        return (self._asking.ask(ModelListReply, _REQUEST, wanted)).models

    def info(self, model: str) -> ModelInfo:
        """Everything known about one model.

        Raises:
            ModelNotFound: there is none of this name.
        """
        return self._asking.ask(ModelInfo, _REQUEST, {"action": "info", "model": model})

    def ps(self) -> ModelPsReply:
        """The models in memory, why each stays and until when, and what there is room for."""
        return self._asking.ask(ModelPsReply, _REQUEST, {"action": "ps"})

    def pull(self, model: str, *, quantization: str | None = None, force: bool = False) -> ModelPullReply:
        """Downloads a model, with a bar; one that is there already is not downloaded again unless `force`.

        Raises:
            ModelNotFound, DownloadError: the error says what to do; what has come stays, and the next pull goes on.
        """
        wanted = {"action": "pull", "model": model, "quantization": quantization, "force": force}
        return self._asking.ask(ModelPullReply, _REQUEST, wanted, about=model)

    def load(
        self,
        model: str,
        *,
        keep_alive: float | str | None = None,
        pin: bool = False,
        device: str | None = None,
        speculation: Speculation | None = None,
        num_ctx: int | None = None,
    ) -> LoadedModel:
        """Loads a model; `keep_alive` in seconds or as a text such as `5m`, `num_ctx` is the context in tokens.

        Raises:
            ModelNotFound, ModelLoadFailed, OutOfMemory: it can't be loaded; the error says what is in the way.
        """
        wanted = {
            "action": "load",
            "model": model,
            "keep_alive": keep_alive,
            "pin": pin,
            "device": device,
            "speculation": speculation,
            "num_ctx": num_ctx,
        }
        return self._asking.ask(LoadedModel, _REQUEST, wanted, about=model)

    def unload(self, model: str | None = None, *, force: bool = False) -> Sequence[UnloadedModel]:
        """Takes a model, or all, out of memory; `force` also while it answers."""
        wanted = {"action": "unload", "model": model, "force": force}
        return (self._asking.ask(ModelUnloadReply, _REQUEST, wanted)).unloaded

"""The built-in hooks that the configuration names, made and ready to be put at their points."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_kernel.identity import CONNECTION_KEY
from llmspell_kernel.services.correlation import new_id
from llmspell_kernel.services.hooks.builtin.caching import Caching
from llmspell_kernel.services.hooks.builtin.cost_tracking import CostTracking
from llmspell_kernel.services.hooks.builtin.logging import Logging
from llmspell_kernel.services.hooks.builtin.metrics import Metrics
from llmspell_kernel.services.hooks.builtin.native import NativeHook
from llmspell_kernel.services.hooks.builtin.rate_limit import RateLimit
from llmspell_kernel.services.hooks.builtin.retry import Retry
from llmspell_kernel.services.hooks.builtin.security import Security
from llmspell_kernel.services.hooks.hook import Hook, Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import HooksSettings

log = logging.getLogger(__name__)

_MAKE: Mapping[str, Callable[[HooksSettings], NativeHook]] = {
    "logging": lambda settings: Logging(settings.logging),
    "metrics": lambda settings: Metrics(),
    "rate_limit": lambda settings: RateLimit(settings.rate_limit),
    "caching": lambda settings: Caching(settings.caching),
    "cost_tracking": lambda settings: CostTracking(settings.cost_tracking),
    "retry": lambda settings: Retry(settings.retry),
    "security": lambda settings: Security(settings.security),
}


class BuiltinHooks:
    """The hooks of one configuration; what they count begins with it."""

    def __init__(self, settings: HooksSettings) -> None:
        self._native = [_MAKE[name](settings) for name in dict.fromkeys(settings.builtin)]
        self.hooks: Sequence[Hook] = [_hook(native, point) for native in self._native for point in native.points]

    def figures(self, key_id: str) -> Mapping[str, Mapping[str, Any]]:
        """What they have counted, by name; what names components or models is of this key alone."""
        return {native.name: native.figures(key_id) for native in self._native}


def _hook(native: NativeHook, point: str) -> Hook:
    async def call(occasion: Occasion, on_begin: Callable[[], None]) -> Verdict:
        del on_begin
        return await native.at(occasion)

    return Hook(
        id=new_id(),
        name=native.name,
        point=point,
        priority=native.priority,
        context=None,
        key_id=CONNECTION_KEY,
        call=call,
        tell=lambda line: log.warning("%s", line),
        release=lambda: None,
        language="native",
        description=native.description,
        tags=("builtin",),
    )

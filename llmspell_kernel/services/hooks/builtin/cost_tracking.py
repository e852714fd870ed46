"""Adds up what answers of models cost by the prices of the configuration, and ends executions beyond a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict
from llmspell_kernel.services.patterns import matcher

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import CostTrackingHook

_MILLION = 1_000_000
MOST_MODELS = 10_000


class CostTracking:
    """`cost_tracking`"""

    name = "cost_tracking"
    priority = "low"
    points = ("BeforeAgentExecution", "AfterAgentExecution", "BeforeModelExecution", "AfterModelExecution")
    description = "what answers of models cost"

    def __init__(self, settings: CostTrackingHook) -> None:
        self._input, self._output = settings.input_prices, settings.output_prices
        self._budget = settings.budget_usd
        self._by_key: dict[str, dict[str, dict[str, float]]] = {}
        self._spent = 0.0

    async def at(self, occasion: Occasion) -> Verdict:
        """Before the work, whether there is money left; after it, what it took."""
        data = occasion.data
        if occasion.point.startswith("Before"):
            if self._budget is not None and self._spent >= self._budget:
                reason = f"the budget of ${self._budget:g} is spent (hooks.cost_tracking.budget_usd)"
                return Verdict("cancel", data, reason=reason)
            return Verdict("continue", data)
        usage, model = data.get("usage"), str(data.get("model") or "")
        if isinstance(usage, Mapping):
            key = "" if occasion.request is None else occasion.request.caller.key_id
            own = self._by_key.setdefault(key, {})
            self._add(own, model, int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        return Verdict("continue", data)

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """In all, and by model."""
        own = self._by_key.get(key_id, {})
        return {"cost_usd": self._spent, "models": {name: dict(counts) for name, counts in own.items()}}

    def _add(self, own: dict[str, dict[str, float]], model: str, prompt: int, completion: int) -> None:
        cost = (prompt * _price(self._input, model) + completion * _price(self._output, model)) / _MILLION
        self._spent += cost
        name = model if model in own or len(own) < MOST_MODELS else "others"
        counts = own.setdefault(name, {"prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0})
        counts["prompt_tokens"] += prompt
        counts["completion_tokens"] += completion
        counts["cost_usd"] += cost


def _price(prices: Mapping[str, float], model: str) -> float:
    """The price of the name itself, else of the longest pattern that fits; a model that none fits costs nothing."""
    fitting = [pattern for pattern in prices if matcher(pattern)(model)]
    return prices[max(fitting, key=lambda pattern: (pattern == model, len(pattern)))] if fitting else 0.0

"""How much a model's process may take: more than is expected, less than the machine has, or what a person says."""

from __future__ import annotations

import pytest

from llmspell_protocol.worker_memory import FEW_THREADS, stacks_bytes
from llmspell_providers.candle.memory_limit import memory_limit_bytes
from llmspell_providers.residency.estimate import Estimate

GIB = 1 << 30
PLENTY = 1000 * GIB


def expected(weights: int = GIB, cache: int = GIB, **changes: float) -> Estimate:
    """What is expected of a model."""
    fields = {"mapped_bytes": weights, "compute_bytes": GIB, "prompt_cache_bytes": 0, "process_bytes": 0, **changes}
    return Estimate(weights_bytes=weights, kv_cache_bytes=cache, **fields)  # type: ignore[arg-type]


def limit(estimate: Estimate, wanted: object = "auto", form: str = "gguf", available: int = PLENTY) -> int:
    """The limit on a machine of four cores."""
    return memory_limit_bytes(estimate, wanted, model_format=form, cores=4, available_bytes=available)  # type: ignore[arg-type]


def test_the_limit_is_half_more_than_expected_twice_the_growth_and_slack() -> None:
    assert limit(expected()) == 3 * GIB + 2 * GIB + GIB + stacks_bytes(FEW_THREADS + 12)
    assert limit(expected(), form="safetensors") - limit(expected()) == 3 * GIB


def test_a_model_that_once_took_more_may_take_more_and_one_that_took_less_may_not_take_less() -> None:
    assert limit(expected(ratio=2.0)) - limit(expected()) == 3 * GIB
    assert limit(expected(ratio=0.5)) == limit(expected())


def test_a_machine_that_has_less_left_limits_to_that_but_never_below_what_is_expected() -> None:
    assert limit(expected(), available=4 * GIB) == 4 * GIB
    assert limit(expected(), available=GIB) == 3 * GIB + GIB // 2


@pytest.mark.parametrize("wanted", [1, GIB])
def test_what_a_person_says_holds(wanted: int) -> None:
    assert limit(expected(), wanted) == wanted

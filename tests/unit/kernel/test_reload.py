"""What a running kernel takes over of changed settings, key by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.reload import Reload, plan
from tests.support.settings import settings_from

CANDLE = "[providers.candle]\n"


def planned(before: str, after: str, home: Path) -> Reload:
    return plan(settings_from(before, home), settings_from(after, home))


@pytest.mark.parametrize(
    ("before", "after", "applied", "at_next_load", "restart_needed"),
    [
        ("", "", [], [], []),
        ("", "kernel.max_clients = 2", ["kernel.max_clients"], [], []),
        ("", "kernel.port = 1000", [], [], ["kernel.port"]),
        ("", 'kernel.security.curve = "required"', [], [], ["kernel.security.curve"]),
        ("", 'models.memory_budget_bytes = "1 GB"', [], [], ["models.memory_budget_bytes"]),
        ("", "models.prompt_cache_bytes = 5", [], ["models.prompt_cache_bytes"], []),
        (CANDLE, CANDLE + "seed = 1", ["providers.candle.seed"], [], []),
        (CANDLE, CANDLE + "max_concurrent = 2", [], ["providers.candle.max_concurrent"], []),
        (CANDLE, CANDLE + 'model_directory = "/x"', [], [], ["providers.candle.model_directory"]),
        (CANDLE, CANDLE + "some_option = 1", ["providers.candle.some_option"], [], []),
        (CANDLE + 'device = "cpu"', "[providers.ollama]", ["providers.candle", "providers.ollama"], [], []),
        ("", "[providers.mine]\nprovider_type = 'candle'\nmodel_directory = '/x'", ["providers.mine"], [], []),
        ("", "runtime.enable_streaming = false", [], [], []),
    ],
)  # fmt: skip
def test_each_change_counts_at_once_or_at_the_next_load_or_after_a_restart(
    before: str, after: str, applied: list[str], at_next_load: list[str], restart_needed: list[str], tmp_path: Path
) -> None:
    told = planned(before, after, tmp_path)
    assert (told.applied, told.at_next_load, told.restart_needed) == (applied, at_next_load, restart_needed)


def test_what_needs_a_restart_keeps_its_value_and_the_rest_is_taken_over(tmp_path: Path) -> None:
    after = (
        '[kernel]\nport = 1000\nmax_clients = 3\n[providers.candle]\nmodel_directory = "/x"\ntop_k = 3\n'
        '[runtime.state_persistence]\npath = "/y.db"\n'
    )
    told = planned(CANDLE, after, tmp_path)
    settings = told.settings
    assert (settings.kernel.port, settings.kernel.max_clients) == (9555, 3)
    candle = settings.providers.tables["candle"]
    assert (candle.top_k, getattr(candle, "model_directory", None)) == (3, tmp_path / "models/candle")
    assert "runtime.state_persistence.path" in told.restart_needed
    assert plan(settings, settings_from(after, tmp_path)).restart_needed == told.restart_needed
    assert plan(settings, settings_from(CANDLE, tmp_path)).restart_needed == [], "taken back before the restart"

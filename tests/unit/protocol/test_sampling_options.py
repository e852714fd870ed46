"""The sampling options are those of `SamplingOptions` wherever one can be given: chat, scripts, settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import get_args, get_type_hints

import pytest

from llmspell_cli.chat.conversation import SAMPLING as IN_CHAT
from llmspell_profiles.schema.providers import ProviderSettings
from llmspell_protocol.models import SAMPLING as WITH_DEFAULTS
from llmspell_protocol.models import SamplingOptions
from tests.support.lua_kernel import LuaBench, reply

OPTIONS = {item.name: item for item in fields(SamplingOptions)}
KINDS = {name: get_args(kind)[0] for name, kind in get_type_hints(SamplingOptions).items()}

OTHERWISE = {"repeat_last_n": 0, "repeat_penalty": None}
"""Lowest values of settings that differ: a window needs a length, and a penalty is only said to be more than 0."""


def test_every_number_has_a_range() -> None:
    without = {name for name, item in OPTIONS.items() if "range" not in item.metadata}
    assert without == {"stop"}


def test_options_of_a_conversation_have_the_types_of_the_request() -> None:
    assert IN_CHAT.keys() <= OPTIONS.keys()
    for name, kind in IN_CHAT.items():
        assert kind is (str if KINDS[name] == Sequence[str] else KINDS[name]), name


@pytest.mark.parametrize("name", OPTIONS)
def test_scripts_can_give_an_agent_every_option(name: str) -> None:
    bench = LuaBench()
    bench.kernel.answers["agent create"] = reply(agent={"id": "a", "name": "a"})
    in_lua, in_request = ("{'x'}", ["x"]) if name == "stop" else ("1", 1)
    bench.run(f"agent = Agent.create{{model = 'mock/x', {name} = {in_lua}}}")
    ((_, content),) = bench.kernel.requests
    assert content["options"] == {name: in_request}


@pytest.mark.parametrize("option", [OPTIONS[name] for name in WITH_DEFAULTS if name != "stop"], ids=lambda it: it.name)
def test_a_setting_has_the_range_of_the_request_s_option(option: Field[float]) -> None:
    low, high = option.metadata["range"]
    bounds = ProviderSettings.FIELDS[option.name].bounds
    lowest, highest = bounds.get("ge"), bounds.get("le")
    assert lowest == OTHERWISE.get(option.name, low)
    assert highest is None or highest == high

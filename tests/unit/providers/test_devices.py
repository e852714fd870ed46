"""Which device a model runs on."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import ConfigError
from llmspell_providers.candle.devices import choose_device, detected, our_names


@pytest.mark.parametrize(
    ("asked", "platform", "found", "device"),
    [
        ("auto", "linux", [], "cpu"),
        ("auto", "linux", ["cuda:0", "cuda:1"], "cuda:0"),
        ("auto", "darwin", ["metal"], "metal"),
        ("auto", "darwin", ["cuda:0", "metal"], "metal"),
        ("auto", "darwin", ["cuda:0"], "cpu"),
        ("cpu", "linux", ["cuda:0"], "cpu"),
        ("cuda", "linux", ["cuda:0"], "cuda:0"),
        ("cuda:1", "linux", ["cuda:0", "cuda:1"], "cuda:1"),
        ("metal", "darwin", ["metal"], "metal"),
    ],
)
def test_a_device_that_is_there_is_taken(asked: str, platform: str, found: list[str], device: str) -> None:
    assert choose_device(asked, platform=platform, found=found) == (device, None)


@pytest.mark.parametrize(
    ("asked", "platform", "warning"),
    [
        ("metal", "linux", "Metal requested but only available on macOS, using CPU"),
        ("cuda", "darwin", "CUDA requested but not available on macOS, using CPU"),
        ("cuda:1", "darwin", "CUDA requested but not available on macOS, using CPU"),
    ],
)
def test_a_device_of_another_platform_is_a_warning_and_the_processor(asked: str, platform: str, warning: str) -> None:
    assert choose_device(asked, platform=platform, found=[]) == ("cpu", warning)


@pytest.mark.parametrize(
    ("device", "platform", "text"),
    [
        ("cuda:0", "linux", "Auto-detected CUDA device for Candle"),
        ("cuda:1", "linux", "Auto-detected CUDA device for Candle"),
        ("cpu", "linux", "Auto-detected CPU device for Candle (CUDA unavailable)"),
        ("metal", "darwin", "Auto-detected Metal device for Candle (Apple Silicon)"),
        ("cpu", "darwin", "Auto-detected CPU device for Candle (Metal unavailable)"),
    ],
)
def test_what_auto_has_chosen_is_told_in_fixed_words(device: str, platform: str, text: str) -> None:
    assert detected(device, platform=platform) == text


@pytest.mark.parametrize(("asked", "found"), [("cuda", []), ("cuda:2", ["cuda:0", "cuda:1"])])
def test_a_device_that_could_be_there_and_is_not_is_an_error_that_says_what_was_looked_for(
    asked: str, found: list[str]
) -> None:
    with pytest.raises(ConfigError, match="looked for cuda") as caught:
        choose_device(asked, platform="linux", found=found)
    assert caught.value.details["found"] == found


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:x", "", "METAL"])
def test_an_unknown_word_is_a_config_error(asked: str) -> None:
    with pytest.raises(ConfigError):
        choose_device(asked, platform="linux", found=["cuda:0"])


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        ([], {}),
        (["CUDA0", "CUDA1"], {"cuda:0": "CUDA0", "cuda:1": "CUDA1"}),
        (["Vulkan0"], {"cuda:0": "Vulkan0"}),
        (["MTL0"], {"metal": "MTL0"}),
        (["Metal", "Vulkan0"], {"cuda:0": "Vulkan0", "metal": "Metal"}),
    ],
)
def test_graphics_cards_are_numbered_in_any_build(names: list[str], ours: dict[str, str]) -> None:
    assert our_names(names) == ours

"""Which device a model runs on: what is asked for, what the platform can have, what the engine has found.

The texts for people are fixed: scripts and log watchers look for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llmspell_protocol.errors import ConfigError

_WORDS = re.compile(r"auto|cpu|metal|cuda(:\d+)?")


def choose_device(asked: str, *, platform: str, found: Sequence[str]) -> tuple[str, str | None]:
    """The device to use and what a person should be told, if anything.

    `asked` is `auto`, `cpu`, `cuda`, `cuda:N` or `metal`; `platform` is `sys.platform`; `found` names the accelerators
    that the engine can use here (`cuda:0`, …, `metal`). A device of another platform is a warning and the processor.

    Raises:
        ConfigError: an unknown word, or a device that this platform can have but the engine has not found.
    """
    if _WORDS.fullmatch(asked) is None:
        raise ConfigError(
            f"'{asked}' is not a device",
            hint="a device is auto, cpu, cuda, cuda:N or metal",
            details={"key": "providers.candle.device"},
        )
    if asked == "auto":
        kind = "metal" if platform == "darwin" else "cuda"
        return next((name for name in found if name.startswith(kind)), "cpu"), None
    wanted = device_name(asked, platform=platform)
    if wanted == "cpu" or wanted in found:
        return wanted, of_another_platform(asked, platform=platform)
    seen = ", ".join(found) or "none"
    raise ConfigError(
        f"the engine looked for {wanted} and found no such device (accelerators that it can use: {seen})",
        hint='set providers.candle.device = "auto", or install a build of the engine that has this device',
        details={"key": "providers.candle.device", "asked": asked, "found": list(found)},
    )


def device_name(asked: str, *, platform: str) -> str:
    """What a word other than `auto` comes to on this platform, if the device is there."""
    if of_another_platform(asked, platform=platform) is not None:
        return "cpu"
    return "cuda:0" if asked == "cuda" else asked


def of_another_platform(asked: str, *, platform: str) -> str | None:
    """The error's text for a device that this platform never has."""
    if asked == "metal" and platform != "darwin":
        return "Metal requested but only available on macOS, using CPU"
    if asked.startswith("cuda") and platform == "darwin":
        return "CUDA requested but not available on macOS, using CPU"
    return None


def detected(device: str, *, platform: str) -> str:
    """What the log says about a device that `auto` has chosen."""
    if device == "metal":
        return "Auto-detected Metal device for Candle (Apple Silicon)"
    if device != "cpu":
        return "Auto-detected CUDA device for Candle"
    return f"Auto-detected CPU device for Candle ({'Metal' if platform == 'darwin' else 'CUDA'} unavailable)"


def our_names(names: Iterable[str]) -> dict[str, str]:
    """llama.cpp's names of accelerators by ours: `cuda:0` … for graphics cards by number, `metal`; `metal` last."""
    listed = list(names)
    metal = [name for name in listed if name.lower().startswith(("metal", "mtl"))]
    cards = [name for name in listed if name not in metal]
    ours = {f"cuda:{index}": name for index, name in enumerate(cards)}
    return {**ours, "metal": metal[0]} if metal else ours

"""Which device a model runs on: what the settings ask for, what the platform can have, what the engine has found."""

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
            f"'{asked}' is no device",
            hint="providers.candle.device is auto, cpu, cuda, cuda:N or metal",
            details={"key": "providers.candle.device"},
        )
    if asked == "auto":
        return (found[0] if found else "cpu"), None
    if asked == "cpu":
        return "cpu", None
    is_metal = asked == "metal"
    if is_metal != (platform == "darwin"):
        return "cpu", f"{asked} does not exist on this platform: the model runs on the processor"
    wanted = "cuda:0" if asked == "cuda" else asked
    if wanted in found:
        return wanted, None
    seen = ", ".join(found) or "none"
    raise ConfigError(
        f"the engine looked for {wanted} and found no such device (accelerators that it can use: {seen})",
        hint='set providers.candle.device = "auto", or install a build of the engine that has this device',
        details={"key": "providers.candle.device", "asked": asked, "found": list(found)},
    )


def our_names(names: Iterable[str]) -> dict[str, str]:
    """llama.cpp's names of accelerators by ours: `cuda:0` … for graphics cards by number, `metal`; `metal` last."""
    listed = list(names)
    metal = [name for name in listed if name.lower().startswith(("metal", "mtl"))]
    cards = [name for name in listed if name not in metal]
    ours = {f"cuda:{index}": name for index, name in enumerate(cards)}
    return {**ours, "metal": metal[0]} if metal else ours

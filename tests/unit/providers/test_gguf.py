"""The bounded look into GGUF files."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.library.gguf import read_gguf
from tests.support.gguf_files import ARRAY, METADATA, UINT64, gguf_file, header, pair, tensor, text


def _written(directory: Path, data: bytes) -> Path:
    path = directory / "model.gguf"
    path.write_bytes(data)
    return path


def test_a_header_tells_what_an_estimate_needs(tmp_path: Path) -> None:
    found = read_gguf(_written(tmp_path, gguf_file(4096)))

    assert (found.architecture, found.quantization, found.parameter_count) == ("llama", "F32", 1024)
    assert (found.context_length, found.embedding_length, found.layers) == (2048, 64, 2)
    assert (found.heads, found.kv_heads, found.key_length, found.value_length) == (4, 2, 16, 16)
    assert found.vocab_size == 3
    assert found.capabilities == ("chat",)


def test_the_real_small_model_is_described_as_it_is(smollm2_path: Path) -> None:
    found = read_gguf(smollm2_path)

    assert (found.architecture, found.quantization, found.parameter_count) == ("llama", "Q4_1", 134_515_008)
    assert (found.context_length, found.embedding_length, found.layers) == (8192, 576, 30)
    assert (found.heads, found.kv_heads, found.key_length, found.vocab_size) == (9, 3, 64, 49152)
    assert found.chat_template is not None
    assert not found.tools
    assert found.license == "apache-2.0"


def test_what_gguf_s_own_writer_writes_is_read(tmp_path: Path) -> None:
    import numpy
    from gguf import GGUFWriter, PoolingType

    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "bert")
    writer.add_context_length(512)
    writer.add_embedding_length(384)
    writer.add_block_count(6)
    writer.add_head_count(12)
    writer.add_pooling_type(PoolingType.MEAN)
    writer.add_token_list([f"t{number}" for number in range(5000)])
    writer.add_array("bert.scores", [0.5] * 5000)
    writer.add_tensor("token_embd.weight", numpy.zeros((10, 32), dtype=numpy.float16))
    writer.add_tensor("output.weight", numpy.zeros((3, 32), dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    found = read_gguf(path)

    assert (found.architecture, found.pooling, found.capabilities) == ("bert", "mean", ("embed",))
    assert (found.vocab_size, found.parameter_count, found.key_length) == (5000, 416, 32)


def test_a_template_with_tools_makes_a_model_that_has_tools(tmp_path: Path) -> None:
    template = "{% if tools %}{{ tools | tojson }}{% endif %}"
    found = read_gguf(_written(tmp_path, gguf_file(metadata={**METADATA, "tokenizer.chat_template": template})))

    assert found.tools
    assert found.capabilities == ("chat", "tools")


def test_numbers_by_layer_count_as_their_largest(tmp_path: Path) -> None:
    metadata = {**METADATA, "llama.attention.head_count_kv": [2, 8, 4]}

    assert read_gguf(_written(tmp_path, gguf_file(metadata=metadata))).kv_heads == 8


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "is not a GGUF file", id="empty"),
        pytest.param(b"<html>" + b" " * 100, "is not a GGUF file", id="a web page"),
        pytest.param(header([], [], version=1), "GGUF version 1", id="version 1"),
        pytest.param(b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian", id="big-endian"),
        pytest.param(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "announces [0-9]+ tensors", id="tensors"),
        pytest.param(b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40), "metadata pairs", id="pairs"),
        pytest.param(header([text("k") + struct.pack("<IQ", 8, 1 << 50)], []), "bytes in a string", id="string"),
        pytest.param(
            header([text("k") + struct.pack("<IIQ", ARRAY, 0, 1 << 50)], []), "elements in an array", id="array"
        ),
        pytest.param(header([text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1)], []), "an array of value", id="nested"),
        pytest.param(header([text("k") + struct.pack("<I", 99)], []), "value type 99", id="value type"),
        pytest.param(header([pair("a", 1), pair("a", 2)], []), "appears twice", id="twice"),
        pytest.param(
            header([pair("general.architecture", "x")], [tensor("t", [1, 1, 1, 1, 1])]), "5 dimensions", id="dimensions"
        ),
        pytest.param(
            header([pair("general.architecture", "x")], [tensor("t", [1 << 40, 1 << 40])]), "elements at", id="elements"
        ),
        pytest.param(header([pair("general.architecture", "x")], [tensor("t", [33], 2)]), "not a multiple", id="rows"),
        pytest.param(
            header([pair("general.architecture", "x"), pair("general.alignment", 3)], []), "alignment 3", id="alignment"
        ),
        pytest.param(header([pair("general.name", "x")], []), "names no architecture", id="nameless"),
        pytest.param(header([pair("general.architecture", "x")], []), "holds no tensors", id="no tensors"),
        pytest.param(gguf_file(metadata={**METADATA, "general.type": "adapter"}), "not a model but", id="adapter"),
    ],
)
def test_a_file_that_is_no_sound_gguf_is_refused_with_the_reason(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ModelLoadFailed, match=says):
        read_gguf(_written(tmp_path, data))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("block_count", 0, "'llama.block_count' is 0"),
        ("context_length", 0, "'llama.context_length' is 0"),
        ("embedding_length", 0, "'llama.embedding_length' is 0"),
        ("context_length", (1 << 32) - 1, "a context of 4294967295 tokens"),
        ("block_count", (1 << 32) - 1, "4294967295 layers"),
        ("nextn_predict_layers", (1 << 32) - 1, "4294967295 layers"),
        ("attention.shared_kv_layers", 1025, "1025 layers"),
    ],
)
def test_numbers_that_no_model_has_are_refused_before_anything_counts_up_to_them(
    tmp_path: Path, name: str, value: int, says: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=f"is damaged: .*{says}"):
        read_gguf(_written(tmp_path, gguf_file(metadata={**METADATA, f"llama.{name}": value})))


def test_a_number_beyond_what_engines_read_is_refused_also_in_a_list(tmp_path: Path) -> None:
    wide = text("llama.attention.head_count_kv") + struct.pack("<IIQQ", ARRAY, UINT64, 1, 1 << 40)
    pairs = [pair("general.architecture", "llama"), wide]

    with pytest.raises(ModelLoadFailed, match=f"head_count_kv' is {1 << 40}"):
        read_gguf(_written(tmp_path, header(pairs, [tensor("t", [8])]) + b"\0" * 96))


@pytest.mark.parametrize("dimensions", [[0], [8, 0], [0, 8, 1]])
def test_a_tensor_with_a_length_of_zero_is_refused(tmp_path: Path, dimensions: list[int]) -> None:
    data = header([pair("general.architecture", "llama")], [tensor("t", dimensions)]) + b"\0" * 96

    with pytest.raises(ModelLoadFailed, match="tensor 't' has a length of 0"):
        read_gguf(_written(tmp_path, data))


def test_a_file_cut_anywhere_is_called_truncated_or_no_gguf(tmp_path: Path) -> None:
    data = gguf_file(2048)
    path = tmp_path / "model.gguf"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ModelLoadFailed, match=r"truncated|not a GGUF"):
            read_gguf(path)


def test_a_thousand_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    whole = gguf_file(256, seed=b"weights")
    chance = random.Random(7)
    path = tmp_path / "model.gguf"
    refused = 0
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read_gguf(path)
        except ModelLoadFailed:
            refused += 1
    assert 100 < refused < 1000

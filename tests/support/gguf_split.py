"""A GGUF file in parts, as llama.cpp's gguf-split makes them: written by the gguf package's own writer."""

from __future__ import annotations

from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter


def split(source: Path, directory: Path, stem: str, parts: int) -> list[Path]:
    """Writes `STEM-00001-of-0000N.gguf` and so on; returns the files in order."""
    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    # Rounded up, so that the last part is the smallest.
    writer = GGUFWriter(directory / f"{stem}.gguf", architecture, split_max_tensors=-(-len(reader.tensors) // parts))
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_shape=tensor.data.shape, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = sorted(directory.glob(f"{stem}-*.gguf"))
    assert len(found) == parts
    return found

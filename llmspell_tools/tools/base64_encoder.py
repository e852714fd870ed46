"""base64-encoder: bytes as text and back, of texts and of files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.results import demand_length
from llmspell_tools.parameters import ToolParameters, missing, parameter

_PIECE = 3 << 20
"""Whole groups of three bytes, and of four characters."""
_SPACE = b" \t\r\n\v\f"
_ALPHABET = {
    "standard": frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
    "url-safe": frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
}
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Parameters(ToolParameters):
    """What `base64-encoder` is called with."""

    operation: Literal["encode", "decode"] = parameter("what to do")
    input: str | None = parameter("the text to encode or decode", None, also=("data", "text"))
    input_file: str | None = parameter("the path of a file to read in place of `input`", None, also=("file",))
    output_file: str | None = parameter("the path of a file to write; without it the result has the text", None)
    variant: Literal["standard", "url-safe"] = parameter("which alphabet: with + and /, or with - and _", "standard")
    binary_input: bool = parameter("`input` of encode is hexadecimal digits of bytes", False)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`url_safe = true` is a variant."""
        wanted = dict(given)
        if wanted.get("variant") is None and wanted.get("url_safe") is True:
            wanted["variant"] = "url-safe"
        elif isinstance(wanted.get("variant"), str):
            said = wanted["variant"].lower().replace("_", "-")
            wanted["variant"] = "url-safe" if said == "urlsafe" else said
        return wanted


def run(wanted: Parameters, call: Call) -> Outcome:
    """Encodes or decodes."""
    if wanted.input_file is None and wanted.input is None:
        raise missing("input", "data", "input_file")
    if wanted.output_file is not None:
        return _to_file(wanted, wanted.output_file, call)
    pieces, characters = [], 0
    for piece in _converted(wanted, call):
        characters += len(piece)
        demand_length(characters)
        pieces.append(piece)
    return _shown(wanted, b"".join(pieces))


def _shown(wanted: Parameters, data: bytes) -> Outcome:
    binary = False
    try:
        output = data.decode("utf-8")
    except UnicodeDecodeError:
        demand_length(2 * len(data))
        output, binary = data.hex(), True
    key = "encoded" if wanted.operation == "encode" else "decoded"
    message = f"{len(output):,} characters{' of hexadecimal digits: the bytes are no text' if binary else ''}"
    result = {"output": output, key: output, "variant": wanted.variant, "binary": binary}
    return Outcome(operation=wanted.operation, result=result, output=output, message=message)


def _to_file(wanted: Parameters, path: str, call: Call) -> Outcome:
    with call.files.replacing(path) as file:
        for piece in _converted(wanted, call):
            file.write(piece)
            if file.tell() > call.files.largest_bytes:
                break  # The end of the block says so.
        size = file.tell()
    told = {"path": call.files.absolute(path), "size": size}
    return Outcome(
        operation=wanted.operation,
        result={"file": told, "variant": wanted.variant},
        output=told["path"],
        message=f"Wrote {size:,} bytes to {told['path']}",
        fields={"file": told},
    )


def _converted(wanted: Parameters, call: Call) -> Iterator[bytes]:
    """The result in pieces."""
    if wanted.input_file is not None:
        with call.files.open(wanted.input_file) as file:
            yield from _encoded(file, wanted) if wanted.operation == "encode" else _decoded(file, wanted)
        return
    import io

    text = wanted.input or ""
    data = _from_hex(text) if wanted.binary_input and wanted.operation == "encode" else text.encode("utf-8")
    yield from (
        _encoded(io.BytesIO(data), wanted) if wanted.operation == "encode" else _decoded(io.BytesIO(data), wanted)
    )


def _from_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify("".join(text.split()))
    except (binascii.Error, ValueError) as error:
        raise ToolFailure(f"the input is not hexadecimal: {error}") from None


def _encoded(file: BinaryIO, wanted: Parameters) -> Iterator[bytes]:
    for piece in _groups(file, 3, skipped=b""):
        encoded = base64.b64encode(piece)
        yield encoded.translate(_TO_URL_SAFE) if wanted.variant == "url-safe" else encoded


def _decoded(file: BinaryIO, wanted: Parameters) -> Iterator[bytes]:
    """White space is skipped, and `=` at the end may be left out; everything else has to be of the alphabet."""
    ended = False
    for piece in _groups(file, 4, skipped=_SPACE):
        characters = piece.rstrip(b"=")
        padding = len(piece) - len(characters)
        if wrong := set(characters) - _ALPHABET[wanted.variant]:
            raise ToolFailure(f"not valid base64 ({wanted.variant}): {bytes([min(wrong)])!r} is not of its alphabet")
        if ended and piece:
            raise ToolFailure(f"not valid base64 ({wanted.variant}): there is more after its end")
        ended = padding > 0 or len(piece) % 4 > 0
        whole = characters + b"=" * (-len(characters) % 4)
        if len(characters) % 4 == 1 or (padding and len(whole) != len(piece)):
            raise ToolFailure(f"not valid base64 ({wanted.variant}): it ends in the middle of a group")
        yield binascii.a2b_base64(whole.translate(_TO_STANDARD))


def _groups(file: BinaryIO, width: int, *, skipped: bytes) -> Iterator[bytes]:
    """A file in pieces of whole groups; the last may end within one."""
    left = b""
    while read := file.read(_PIECE):
        piece = left + (read.translate(None, skipped) if skipped else read)
        end = len(piece) - len(piece) % width
        left = piece[end:]
        if end:
            yield piece[:end]
    if left:
        yield left


TOOL = Tool(
    name="base64-encoder",
    description="Encodes and decodes base64, of texts and files.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("file_operations",),
    result="{output, encoded | decoded, variant, binary}; to a file: {file: {path, size}, variant}",
    keywords=("base64", "encode", "decode", "binary"),
    example={"operation": "encode", "input": "hello"},
)

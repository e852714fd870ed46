"""hash-calculator: the hash of a text or a file, and whether it is the one that is expected."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any, Literal

from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, missing, parameter

if TYPE_CHECKING:
    from hashlib import _Hash

_PIECE = 1 << 20
_PROGRESS_EACH = 32 << 20


class Parameters(ToolParameters):
    """What `hash-calculator` is called with."""

    operation: Literal["hash", "verify"] = parameter("what to do", "hash")
    algorithm: Literal["md5", "sha1", "sha256", "sha384", "sha512", "blake2b"] = parameter(
        "which hash; md5 and sha1 are no protection against forgery", "sha256"
    )
    input_type: Literal["string", "file"] = parameter("what is hashed: `input`, or the file `file`", "string")
    input: str | None = parameter("the text; hashed as UTF-8", None, also=("data", "text"))
    file: str | None = parameter("the path of a file", None, also=("file_path", "path", "input_file"))
    format: Literal["hex", "base64"] = parameter("how the hash is written", "hex")
    expected_hash: str | None = parameter("what verify compares with", None, also=("expected",))
    expected_format: Literal["hex", "base64"] = parameter("how `expected_hash` is written", "hex")

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`SHA-256` is sha256, and a file without an input is what is hashed."""
        wanted = dict(given)
        if isinstance(wanted.get("algorithm"), str):
            wanted["algorithm"] = re.sub(r"[-_ ]", "", wanted["algorithm"]).lower()
        if wanted.get("input_type") is None and wanted.get("file") is not None and wanted.get("input") is None:
            wanted["input_type"] = "file"
        return wanted


def run(wanted: Parameters, call: Call) -> Outcome:
    """Hashes."""
    expected = _expected(wanted) if wanted.operation == "verify" else b""
    found = _digest(wanted, call)
    if wanted.operation == "hash":
        shown = _written(found, wanted.format)
        result = {"algorithm": wanted.algorithm, "hash": shown, "format": wanted.format}
        return Outcome(operation="hash", result=result, output=shown, message=f"{wanted.algorithm}: {shown}")
    import hmac

    verified = hmac.compare_digest(found, expected)
    return Outcome(
        operation="verify",
        result={
            "verified": verified,
            "algorithm": wanted.algorithm,
            "expected": _written(expected, wanted.expected_format),
            "actual": _written(found, wanted.expected_format),
        },
        output=verified,
        message=f"The {wanted.algorithm} is {'the expected one' if verified else 'another one'}",
    )


def _expected(wanted: Parameters) -> bytes:
    if wanted.expected_hash is None:
        raise missing("expected_hash")
    text = wanted.expected_hash.strip()
    try:
        return (
            binascii.unhexlify(text)
            if wanted.expected_format == "hex"
            else binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        )
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"expected_hash is not {wanted.expected_format}: {error}") from None


def _digest(wanted: Parameters, call: Call) -> bytes:
    import hashlib

    hasher = hashlib.new(wanted.algorithm, usedforsecurity=False)
    if wanted.input_type == "string":
        if wanted.input is None:
            raise missing("input", "data", "text")
        hasher.update(wanted.input.encode("utf-8", "surrogatepass"))
    elif wanted.file is None:
        raise missing("file", "file_path")
    else:
        _read(hasher, wanted.file, call)
    return hasher.digest()


def _read(hasher: _Hash, path: str, call: Call) -> None:
    """Feeds a whole file, piece by piece."""
    try:
        file = call.files.open(path)
    except ToolFailure as failure:
        if failure.code != "not_found":
            raise
        # Without the file there is nothing to compare: a script that hashes has to hear of it.
        raise NotFound(failure.message, details={"path": path}) from None
    done, told = 0, 0
    with file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
            done += len(piece)
            if done - told >= _PROGRESS_EACH:
                told = done
                call.progress(f"hashed {done:,} bytes", bytes=done)


def _written(digest: bytes, form: str) -> str:
    return digest.hex() if form == "hex" else binascii.b2a_base64(digest, newline=False).decode("ascii")


TOOL = Tool(
    name="hash-calculator",
    description="Calculates the hash of a text or a file, or compares it with an expected one.",
    category="utility",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read",),
    settings=("file_operations",),
    result="hash: {algorithm, hash, format}; verify: {verified, algorithm, expected, actual}",
    keywords=("checksum", "digest", "sha256", "md5", "verify"),
    example={"input": "hello"},
)

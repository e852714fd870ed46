"""file-converter: a text file in another encoding, with other line endings, or another indentation."""

from __future__ import annotations

import re
from typing import Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, parameter
from llmspell_tools.texts.files import NotText, decoded, encoded

_ENDINGS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
_ANY_ENDING = re.compile(r"\r\n|\r|\n")
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class Parameters(ToolParameters):
    """What `file-converter` is called with."""

    operation: Literal["encoding", "line_endings", "indentation"] = parameter("what is converted")
    path: str = parameter("the file", also=("file_path", "input", "source_path"))
    target_path: str | None = parameter("where the result goes; left out: the file itself", None, also=("output_path",))
    from_encoding: str | None = parameter("the file's encoding; left out: found out", None)
    to_encoding: str = parameter("encoding: the result's", "utf-8")
    line_ending: Literal["lf", "crlf", "cr"] = parameter("line_endings: the result's", "lf")
    convert_to_spaces: bool = parameter("indentation: to spaces; false: to tabs", True)
    tab_size: int = parameter("indentation: the spaces that a tab stands for", 4, ge=1, le=64)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Line endings in any case."""
        ending = given.get("line_ending")
        return {**given, "line_ending": ending.lower()} if isinstance(ending, str) else given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Reads the whole file, and writes it at once."""
    data = call.files.read_bytes(wanted.path)
    try:
        text, encoding = decoded(data, wanted.from_encoding)
        if "\0" in text:
            raise NotText("it has zero characters in it, as files have that are no text")
        to_encoding = wanted.to_encoding if wanted.operation == "encoding" else encoding
        converted, figures = _CONVERTED[wanted.operation](text, wanted)
        written = encoded(converted, to_encoding)
    except NotText as error:
        raise ToolFailure(f"{wanted.path}: {error}") from None
    target = wanted.target_path if wanted.target_path is not None else wanted.path
    size = call.files.write(target, written)
    result = {
        "path": wanted.path,
        "target_path": target,
        "from_encoding": encoding,
        "to_encoding": to_encoding,
        "bytes_written": size,
        "changed": written != data,
        **figures,
    }
    return Outcome(operation=wanted.operation, result=result, output=target, message=f"Wrote {size} bytes to {target}")


def _as_it_is(text: str, wanted: Parameters) -> tuple[str, dict[str, Any]]:
    return text, {}


def _with_endings(text: str, wanted: Parameters) -> tuple[str, dict[str, Any]]:
    converted, count = _ANY_ENDING.subn(lambda _: _ENDINGS[wanted.line_ending], text)
    return converted, {"line_ending": wanted.line_ending, "lines": count}


def _indented(text: str, wanted: Parameters) -> tuple[str, dict[str, Any]]:
    """What lines begin with: a tab goes to the next multiple of its size, as editors show it."""
    size, count = wanted.tab_size, 0

    def converted(found: re.Match[str]) -> str:
        nonlocal count
        width = len(found[0].expandtabs(size))
        indentation = " " * width if wanted.convert_to_spaces else "\t" * (width // size) + " " * (width % size)
        count += indentation != found[0]
        return indentation

    made = _INDENTATION.sub(converted, text)
    return made, {"tab_size": size, "lines_changed": count}


_CONVERTED = {"encoding": _as_it_is, "line_endings": _with_endings, "indentation": _indented}

TOOL = Tool(
    name="file-converter",
    description="Converts a text file: its encoding, its line endings, or its indentation by tabs or spaces.",
    category="filesystem",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("file_operations",),
    result=(
        "{path, target_path, from_encoding, to_encoding, bytes_written, changed}; line_endings also line_ending, "
        "lines; indentation also tab_size, lines_changed"
    ),
    keywords=("encoding", "utf-8", "crlf", "tabs", "convert"),
)

"""`llmspell embed`: texts from the command line, a file or standard input; vectors as lines or one document."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Sequence
from typing import Any

import click

from llmspell_cli.chat.prompt_words import divided, likeness
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.terminal.input_text import file_text, files_among, input_waits, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_protocol.client.events import Reply
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.plain_text import text_lines

_SHOWN_VALUES = 3
_NAMED_LINES = 5


@click.command(
    "embed",
    cls=Command,
    examples=(
        ('llmspell embed "one text" "another"', "a vector each"),
        ("llmspell embed -m nomic-embed-text hello", "by a certain model"),
        ("llmspell embed --file texts.jsonl --json", "one document"),
    ),
)
@click.option("-m", "--model", metavar="MODEL", help="Model; all words are texts then.")
@click.option("--file", "path", metavar="FILE", help='One text a line; .jsonl: strings or {"text": …}.')
@click.option("--normalize/--no-normalize", default=True, help="Vectors of length 1 (default).")
@click.option("--batch-size", type=click.IntRange(1), default=64, metavar="N", help="Texts a request (64).")
@timeout_option
@click.argument("words", nargs=-1, metavar="[MODEL] [TEXT]...")
def embed(
    options: Options,
    words: tuple[str, ...],
    model: str | None,
    path: str | None,
    normalize: bool,
    batch_size: int,
    timeout_s: float | None,
) -> None:
    """Turn texts into vectors; without TEXT and --file: standard input, one a line.

    The first word is the model if it names one. Without a model: models.embedding, else an installed embedding model,
    else the default model.
    """
    output = Output(options)
    _demand_sound(words, model, path)
    with session(options, output, needs_model=True) as opened, ProgressView(output, "embed", model) as view:
        model, texts, _ = divided(words, model, opened, "llmspell embed")
        if texts and path is not None:
            raise _both()
        if texts:
            for name in files_among(texts):
                output.note(f"{name} is a file here: --file {name} embeds its lines")
            if input_waits():
                output.note("standard input is not read: the texts are those of the command line")
        wanted = list(texts) if texts else _read(output, path)
        if not wanted:
            raise InvalidRequest("there is no text", hint="llmspell embed TEXT")
        replies: list[Reply] = []
        vectors: list[Sequence[float]] = []
        for at in range(0, len(wanted), batch_size):
            reply = opened.ask(
                "model_request",
                {"action": "embed", "model": model, "input": wanted[at : at + batch_size], "normalize": normalize},
                on_progress=view.show,
                timeout_s=timeout_s,
            )
            replies.append(reply)
            # What was chosen for the first batch makes the others too.
            model = model or f"{reply.content['model']}@{reply.content['backend']}"
            batch = _vectors(reply)
            vectors.extend(batch)
            if not output.json:
                view.clear()
                _show(output, at, batch)
        for warning in replies[0].content.get("warnings") or ():
            view.clear()
            output.warning(warning)
    if output.json:
        output.document(_document(wanted, vectors, replies, normalize=normalize))


def _demand_sound(words: Sequence[str], model: str | None, path: str | None) -> None:
    """What is wrong whatever the first word is, said before a kernel is started."""
    kind = likeness(words[0]) if words and model is None else "text"
    texts = words[kind == "model" :]
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise InvalidRequest(f"text {number} of {len(texts)} is empty", details={"text": number})
    if path is not None and len(words) > (kind != "text"):
        raise _both()


def _both() -> InvalidRequest:
    return InvalidRequest("texts come from the command line or from --file, not from both")


def _vectors(reply: Reply) -> list[array[float]]:
    """The rows of the reply's one buffer: float32, little-endian."""
    values = array("f", b"".join(reply.buffers))
    if sys.byteorder == "big":
        values.byteswap()
    width = int(reply.content["dimensions"])
    return [values[at : at + width] for at in range(0, len(values), width)]


def _show(output: Output, first: int, batch: list[array[float]]) -> None:
    for at, vector in enumerate(batch, first):
        if output.terminal:
            head = ", ".join(f"{value:.4f}" for value in vector[:_SHOWN_VALUES])
            output.line(f"{at}  {len(vector)} dimensions  [{head}, …]")
        else:
            output.line(_json_array(vector))


def _json_array(vector: Sequence[float]) -> str:
    """A vector as one JSON array; the shortest digits that give the same float32 again."""
    return "[" + ", ".join(map(_shortest, vector)) + "]"


def _shortest(value: float) -> str:
    return f"{value:.9g}"


def _document(
    texts: list[str], vectors: list[Sequence[float]], replies: list[Reply], *, normalize: bool
) -> dict[str, Any]:
    first = replies[0].content
    return {
        "model": first["model"],
        "backend": first["backend"],
        "dimensions": first["dimensions"],
        "normalized": first.get("normalized", normalize),
        "count": len(vectors),
        "embeddings": [
            {"index": at, "text": text, "embedding": [float(_shortest(value)) for value in vector]}
            for at, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ],
        "usage": {"prompt_tokens": sum(reply.content["usage"]["prompt_tokens"] for reply in replies)},
    }


def _read(output: Output, path: str | None) -> list[str]:
    """The texts of a file (None: standard input), one a line; a note says which lines are blank, and are none."""
    lines = text_lines(stdin_text() if path is None else file_text(path))
    texts = {number: line for number, line in enumerate(lines, 1) if line.strip()}
    blank = [number for number in range(1, len(lines) + 1) if number not in texts]
    if texts and blank:
        output.note(_skipped(path or "standard input", blank), lines=blank)
    if path is None or not path.endswith(".jsonl"):
        return list(texts.values())
    return [_json_text(path, number, line) for number, line in texts.items()]


def _skipped(place: str, blank: list[int]) -> str:
    named = ", ".join(map(str, blank[:_NAMED_LINES])) + (", …" if len(blank) > _NAMED_LINES else "")
    many = "1 blank line is" if len(blank) == 1 else f"{len(blank)} blank lines are"
    return f"{place}: {many} skipped (line{'' if len(blank) == 1 else 's'} {named})"


def _json_text(path: str, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"{path}:{number}:{error.colno}: {error.msg}", details={"file": path}) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"{path}:{number}: a number too long, or nested too deeply", details={"file": path}
        ) from None
    text = value.get("text") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InvalidRequest(f'{path}:{number}: neither a string nor {{"text": …}}', details={"file": path})
    if not text.strip():
        raise InvalidRequest(f"{path}:{number}: the text is empty", details={"file": path, "line": number})
    return text

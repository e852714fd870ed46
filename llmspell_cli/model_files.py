"""Files of weights where a model's name is expected: they are imported, and the word becomes the model's name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmspell_cli.session import Content, document
from llmspell_cli.terminal.progress import ProgressView
from llmspell_protocol.errors import InvalidRequest, ModelNotFound
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from llmspell_cli.session import Session
    from llmspell_cli.terminal.output import Output
    from llmspell_protocol.model_origins import Origin

_WEIGHTS = (".gguf", ".safetensors")
_WHAT_A_MODEL_IS = "a model is a GGUF file, or a directory with model.safetensors"
_HERE = ("./", "../", "/", "~/")


def is_file(word: str) -> bool:
    """Whether a word means a file: it ends as weights do and is no address, or begins as paths do and is there."""
    if "://" in word or word.startswith("hf.co/"):
        return False
    return word.lower().endswith(_WEIGHTS) or (word.startswith(_HERE) and os.path.exists(whole(word)))


def whole(path: str) -> str:
    """A path as the kernel can use it, whose directory is another one."""
    return os.path.abspath(expanded_user(path, os.environ))


def with_files_imported(
    words: Sequence[str], model: str | None, opened: Session, output: Output
) -> tuple[Sequence[str], str | None]:
    """The words of a prompt and the model (None: the first word may be one), with a model's name in place of a file."""
    if model is not None:
        return words, installed_name(model, opened, output)
    if not words or not is_file(words[0]):
        return words, None
    return (installed_name(words[0], opened, output), *words[1:]), None


def installed_name(word: str, opened: Session, output: Output) -> str:
    """The model that a word means: that of a file is imported if it is not there yet.

    Raises:
        ModelNotFound, InvalidRequest: the file is not there, or is no model.
    """
    if not is_file(word):
        return word
    path = whole(word)
    found = opened.model("importable", paths=[path])["models"]
    if not found:
        raise ModelNotFound(f"No model is in {path}", hint=_WHAT_A_MODEL_IS)
    demand_usable(found[0])
    reply = imported(output, opened, path)
    if reply.get("download_status") != "already_present":
        how = "a link to it" if reply.get("linked") == "symbolic" else "the same file"
        output.note(f"{word} is imported as {reply['model_id']}: {how}, nothing was copied")
    return f"{reply['model_id']}@candle"


def demand_usable(model: Content) -> None:
    """Raises what is known to be wrong with a model, before gigabytes of it are read."""
    if model["problem"] == "does not exist":
        raise ModelNotFound(f"{model['path']} does not exist", hint="check the path; it is the kernel's machine's")
    if model["problem"]:
        raise InvalidRequest(f"{model['path']} {model['problem']}", hint=_WHAT_A_MODEL_IS)


def imported(
    output: Output,
    opened: Session,
    path: str,
    *,
    name: str | None = None,
    origin: Origin | None = None,
    force: bool = False,
) -> Content:
    """One import, with its progress: the sum of the file is computed, which takes seconds for large ones."""
    with ProgressView(output, "model import", name or path) as view:
        return document(
            opened.ask(
                "model_request",
                {"action": "import_model", "path": path, "name": name, "origin": origin, "force": force},
                on_progress=view.show,
            )
        )

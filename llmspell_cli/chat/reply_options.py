"""How a reply is wished for on the command line: options by name, a schema, images. Errors speak its words."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_cli.terminal.input_text import file_bytes
from llmspell_protocol.errors import InvalidRequest

if TYPE_CHECKING:
    from llmspell_cli.chat.conversation import Conversation

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def set_options(
    conversation: Conversation, named: Iterable[tuple[str, str]], flags: Mapping[str, Any], names: Iterable[str]
) -> None:
    """Sets what `-o NAME VALUE` and the options of their own (`--temperature N`) say; `names` are theirs.

    Raises:
        InvalidRequest: an unknown name, no number or one out of its range, or two values for one option.
    """
    stops: list[str] = [*(flags.get("stop") or ())]
    said: dict[str, tuple[str, str]] = {}
    for name in names:
        if name != "stop" and flags.get(name) is not None:
            said[name] = (f"--{name.replace('_', '-')}", str(flags[name]))
    for written, value in named:
        name = written.replace("-", "_")
        if name == "stop":
            stops.append(value)
            continue
        if "=" in name:
            raise InvalidRequest(f"-o {written}: name and value are two words", hint=f"-o {written.replace('=', ' ')}")
        spelling, before = said.setdefault(name, ("-o", value))
        if before != value:
            both = f"-o {name} {before}" if spelling == "-o" else f"{spelling} {before}"
            raise InvalidRequest(f"{both} and -o {name} {value} can't both be meant")
    for name, (spelling, value) in said.items():
        _set(conversation, name, value, spelling)
    if stops:
        if "" in stops:
            raise InvalidRequest("stop: an empty text would end every reply before its first word")
        conversation.sampling["stop"] = stops


def _set(conversation: Conversation, name: str, value: str, spelling: str) -> None:
    try:
        if not value.strip():
            raise InvalidRequest(f"{name} has no value")
        conversation.set(name, value)
    except InvalidRequest as error:
        rest = error.message.removeprefix(name)
        # `-o temperature must be …`, `--temperature must be …`, `-o: unknown option '…'`
        if rest == error.message:
            said = f"{spelling}: {error.message}"
        else:
            said = f"-o {name}{rest}" if spelling == "-o" else f"{spelling}{rest}"
        raise InvalidRequest(said, hint=error.hint, details=error.details) from None


def reply_schema(schema: str | None, reply_format: str | None) -> dict[str, Any] | None:
    """The schema that `--schema` and `--format` mean together.

    Raises:
        NotFound, InvalidRequest: as `read_schema`; or a schema for a reply that is to be text.
    """
    if schema is None and reply_format != "json":
        return None
    # Few replies have one.
    from llmspell_cli.chat.reply_schema import ANY_OBJECT, read_schema

    if schema is None:
        return ANY_OBJECT
    if reply_format == "text":
        raise InvalidRequest("--schema makes JSON of the reply, and --format text none")
    return read_schema(schema)


def image_file(path: str) -> str:
    """An image as a message takes it: the whole file in base64.

    Raises:
        NotFound: no such file.
        InvalidRequest: it can't be read, or is no image of a kind that models are shown.
    """
    data = file_bytes(path)
    if not (data.startswith(_IMAGES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")):
        raise InvalidRequest(f"{path} is not a PNG, JPEG, WebP or GIF image", details={"file": path})
    return base64.b64encode(data).decode()

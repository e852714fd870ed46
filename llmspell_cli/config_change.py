"""What a change of the configuration tells: the file, what is stronger than it, and which kernels don't know yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.discovery import running_kernels
from llmspell_protocol.errors import InvalidRequest, LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.writing import Written
    from llmspell_protocol.connection import ConnectionInfo

T = TypeVar("T")


def change(options: Options, make: Callable[..., T], *words: object) -> T:
    """Makes a change with a function of `llmspell_profiles.writing` in the file that the command line means.

    Raises:
        InvalidRequest: a profile is named, which is no file of the user's.
        LlmspellError: as those functions.
    """
    if options.profile is not None:
        hint = f"llmspell config set extends {options.profile}, or name a file with -c"
        raise InvalidRequest(f"the builtin profile '{options.profile}' can't be changed", hint=hint)
    config = Path(options.config) if options.config is not None and _is_named(options) else None
    return make(*words, env=os.environ, cwd=Path(working_directory()), config=config)


def tell(output: Output, changes: Sequence[Written]) -> None:
    """Says what was written where, what is still wrong there, and what does not follow it."""
    running = running_ids(changes[0].file)
    if output.json:
        documents = [_document(done, running) for done in changes]
        output.document(documents[0] if len(documents) == 1 else {"changes": documents})
        return
    for done in changes:
        where = home_path(str(done.file))
        was = f" (was {shown(done.key, done.before)})" if done.before not in (None, done.value) else ""
        if done.value is None:
            output.line(f"✓ {done.key} is not set any more in {where}{was}")
        else:
            output.line(f"✓ {done.key} = {shown(done.key, done.value)} in {where}{was}")
        tell_what_is_stronger(output, done)
    for sentence in changes[0].still_wrong:
        output.warning(f"still wrong: {sentence.replace(str(changes[0].file), home_path(str(changes[0].file)))}")
    tell_who_does_not_know(output, running)


def tell_who_does_not_know(output: Output, running: list[str]) -> None:
    """Says which kernels have read the settings before."""
    if running:
        plural = len(running) > 1
        have = "these kernels still have" if plural else "this kernel still has"
        output.line(f"{', '.join(running)}: {have} the old settings")
        output.hint("llmspell config reload")


def tell_what_is_stronger(output: Output, done: Written) -> None:
    """Warns where a run here would not read the value, or nothing would use it."""
    where = home_path(str(done.file))
    if done.shadowed_by is not None and os.sep in done.shadowed_by:
        output.warning(
            f"in this directory {done.shadowed_by} is read in place of {where}; -c {done.shadowed_by} changes it"
        )
    elif done.shadowed_by is not None:
        output.warning(f"the variable {done.shadowed_by} is set and wins over the file")
    if done.idle:
        output.warning(f"{done.key} is accepted and has no effect in this version")
    if done.value is not None and is_hidden(done.key):
        output.warning("a secret stands in the file; llmspell keys add PROVIDER keeps it out of files")


def is_hidden(key: str) -> bool:
    """Whether the value must not be shown."""
    from llmspell_profiles.credentials.secrets import is_secret

    return is_secret(key.rpartition(".")[2], known=".options." not in key)


def shown(key: str, value: Any) -> str:
    """A value as TOML has it; of a secret nothing."""
    if is_hidden(key):
        return "***"
    import tomlkit

    if isinstance(value, dict):
        return "a table"
    text: str = tomlkit.item(value).as_string()
    return text


def _is_named(options: Options) -> bool:
    return options.config != os.environ.get("LLMSPELL_CONFIG")


def running_ids(file: Path) -> list[str]:
    """The running kernels that read this file, by id."""
    from llmspell_cli.connect import run_directory

    return [info.id or info.address for info in running_kernels(run_directory()) if _reads(info, file)]


def _reads(info: ConnectionInfo, file: Path) -> bool:
    """Whether a kernel's settings are made of a file; also where it doesn't tell."""
    if info.config_file is not None:
        return info.config_file == os.path.realpath(file)
    if not info.chosen:
        from llmspell_profiles.loading.home import general_configuration_places, home_text

        general = general_configuration_places(os.environ, home_text(os.environ))
        return os.path.realpath(file) in map(os.path.realpath, general)
    # A profile or a file was named at its start; only the kernel knows which.
    from llmspell_cli.connect import ANSWERS_WITHIN_S, connected

    try:
        with connected(info, timeout_s=ANSWERS_WITHIN_S) as opened:
            status = document(opened.ask("kernel_request", {"action": "status"}))
    except LlmspellError:
        return True
    theirs = status.get("config_file")
    return isinstance(theirs, str) and os.path.realpath(theirs) == os.path.realpath(file)


def _document(done: Written, running: list[str]) -> dict[str, Any]:
    hidden = is_hidden(done.key)
    return {
        "key": done.key,
        "value": "***" if hidden and done.value is not None else done.value,
        "before": "***" if hidden and done.before is not None else done.before,
        "file": str(done.file),
        "created": done.created,
        "shadowed_by": done.shadowed_by,
        "has_effect": not done.idle,
        "still_wrong": list(done.still_wrong),
        "kernels": running,
    }

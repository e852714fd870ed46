"""Failures as users see them: one `Error:` line with hints, or one JSON object, and the exit status.

The only place where an error of the protocol's tree, or one of Click's, becomes text.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.endings import EndedByUser
from llmspell_cli.terminal.output import CYAN, RED, compact, headed, to_stderr
from llmspell_cli.terminal.visible import visible, visible_lines
from llmspell_protocol.errors import ConfigError, DiskFull, InvalidRequest, LlmspellError, ModelNotFound, ScriptError

if TYPE_CHECKING:
    from llmspell_cli.invocation import Collected

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STEP = re.compile(r"(?m)^(?=\d+\. )")
_OWN_COMMAND = re.compile(r"(?m)(?<=builtin profile: ).*$")


def report(error: LlmspellError | click.ClickException, said: Collected) -> int:
    """Shows a failure and returns its exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        path = error.ctx.command_path
        if said.output_of_a_failure()[0] != "json":
            _stderr(error.ctx.get_help())
            return 2
        error = InvalidRequest(f"'{path}' needs a command", hint=f"{path} --help")
    if isinstance(error, click.ClickException):
        error = _usage(error)
    error = _with_own_words(error, said)
    output, color = said.output_of_a_failure()
    _stderr(_as_json(error) if output == "json" else _as_text(error, color))
    return error.exit_status


def report_defect(error: BaseException, said: Collected) -> int:
    """Shows an unexpected exception, with its traceback only where debugging was asked for; returns the exit status."""
    output, color = said.output_of_a_failure()
    lines: list[str] = []
    if said.debugging():
        # Needed here only.
        import traceback

        lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
        if output != "json":
            _stderr(visible_lines("\n".join(lines)))
            return 1
    defect: LlmspellError
    if isinstance(error, OSError) and error.filename:
        # The machine's fault, not ours: a directory of another user, say.
        where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
        defect = ConfigError(f"{where}: {error.strerror or error}", details={"path": where})
    elif isinstance(error, OSError):
        # What has no name is standard output, most likely.
        defect = (DiskFull if error.errno in _FULL else LlmspellError)(error.strerror or str(error))
    else:
        message = f"this is a defect of llmspell: {type(error).__name__}: {error}"
        defect = LlmspellError(message, hint="run it again with --trace debug")
    if lines:
        defect = type(defect)(defect.message, details={**defect.details, "traceback": lines})
    _stderr(_as_json(defect) if output == "json" else _as_text(defect, color))
    return defect.exit_status


def one_line(error: LlmspellError, color: bool = False) -> str:
    """An error beside a result that goes on, such as one of several items."""
    return _as_text(error, color)


def error_object(error: LlmspellError) -> dict[str, Any]:
    """What the key `error` holds in JSON mode."""
    details = {key: value for key, value in error.details.items() if key != "traceback" or value}
    return {"code": error.code, "message": error.message, "hint": error.hint, "details": details}


def _as_json(error: LlmspellError) -> str:
    return compact({"error": error_object(error)}, sys.stderr)


def _as_text(error: LlmspellError, color: bool) -> str:
    # Numbered steps inside a fixed text are indented by one space.
    message = error.message
    if isinstance(file := error.details.get("file"), str) and os.path.isabs(file):
        # The same as in what succeeds.
        from llmspell_cli.terminal.text import home_path

        message = message.replace(file, home_path(file))
    said = visible_lines(_STEP.sub(" ", message))
    lines = [said] if isinstance(error, EndedByUser) else [headed("Error:", said, RED, color)]
    if isinstance(error, ScriptError):
        lines += _source_line(error)
    if error.hint and error.hint not in error.message:
        lines.append(_hint(error.hint, color))
    if isinstance(error, ScriptError):
        lines += _stack(error)
    # A model that no backend has may be at one that did not answer.
    if isinstance(error, ModelNotFound):
        reasons = (error.details.get("reasons") or {}).items()
        lines += [_hint(f"{name} can't tell: {why}", color) for name, why in reasons if why != "not installed"]
    return "\n".join(lines)


def _source_line(error: LlmspellError) -> list[str]:
    """The script's line that the error comes from."""
    text = error.details.get("source_line")
    return [f"  {error.details.get('line')} | {visible(text)}"] if text else []


def _stack(error: LlmspellError) -> list[str]:
    """The functions that were being called, where that is more than the one place that the message names."""
    frames = error.details.get("traceback") or ()
    return ["stack traceback:", *(f"  {visible(frame)}" for frame in frames)] if len(frames) > 1 else []


def _hint(text: str, color: bool) -> str:
    return headed("Hint:", visible(text), CYAN, color)


def _usage(error: click.ClickException) -> LlmspellError:
    """Click's words in our form; did-you-mean becomes the hint."""
    if isinstance(error, click.NoSuchOption):
        # Needed for this error alone.
        from llmspell_cli.option_hints import hint_for

        return InvalidRequest(f"unknown option '{error.option_name}'", hint=hint_for(error) or _help_hint(error))
    # Click lists choices below each other.
    message = re.sub(r"\. Choose from:\s+", ": ", error.format_message().rstrip("."))
    message = re.sub(r",\n\t", ", ", message)
    # Click names its own types.
    message = re.sub(r"a valid float( range)?$", "a number", message)
    message = re.sub(r"a valid integer( range)?$", "a whole number", message)
    message = re.sub(r"is not in the range x>=?(\d+)$", _too_small, message)
    message = message[:1].lower() + message[1:]
    if message == "option '-o' requires 2 arguments":
        return InvalidRequest("-o takes a name and a value", hint="llmspell chat -o temperature 0 PROMPT")
    if message == "option '--think' does not take a value":
        return InvalidRequest("--think takes no value", hint="--think or --no-think")
    return InvalidRequest(message, hint=_help_hint(error) if isinstance(error, click.UsageError) else None)


def _too_small(found: re.Match[str]) -> str:
    least = "at least" if ">=" in found[0] else "more than"
    return f"must be {least} {found[1]}"


def _help_hint(error: click.UsageError) -> str | None:
    return f"{error.ctx.command_path} --help" if error.ctx is not None else None


def _with_own_words(error: LlmspellError, said: Collected) -> LlmspellError:
    """What the kernel can't know: the command that the user has typed, and that an embedded kernel keeps no log.

    A backend that isn't configured: the steps name that command. On a connected kernel the profile is chosen where
    that kernel is started. A key in this environment is none in the kernel's.
    """
    connected = said.kernel or said.target()[0]
    if error.code == "invalid_request" and (told := _as_options(error, said.argv)) is not None:
        return type(error)(told, hint=error.hint, details=error.details)
    is_about_device = error.details.get("key") == "providers.candle.device" and "asked" in error.details
    if is_about_device and any(word.partition("=")[0] == "--device" for word in said.argv):
        hint = "--device auto takes what there is; another device needs a build of the engine that has it"
        return type(error)(error.message, hint=hint, details=error.details)
    if "incident" in error.details and not connected:
        return type(error)(error.message, hint="run it again with --trace debug", details=error.details)
    if error.code in ("context_length_exceeded", "unsupported") and said.words_without_settings()[:1] == ["chat"]:
        # Few replies end so.
        from llmspell_protocol.cut_replies import with_way

        return with_way(error, "option")
    if error.message.startswith("configuration file not found") and said.words_without_settings()[:1] == ["chat"]:
        return _with_what_continues(error)
    variable = error.details.get("variable")
    if connected and error.code == "config_error" and isinstance(variable, str) and os.environ.get(variable):
        hint = f"it is set here, but was not where the kernel was started: --embedded uses it, or {error.hint}"
        return type(error)(error.message, hint=hint, details=error.details)
    profile = error.details.get("profile")
    if error.code != "backend_not_configured" or not profile:
        return error
    own = shlex.join(["llmspell", "-p", str(profile), *said.words_without_settings()])
    message = _OWN_COMMAND.sub(lambda _: own, error.message)
    hint = f"start the kernel with -p {profile}" if connected else own
    return type(error)(message, hint=hint, details=error.details)


def _with_what_continues(error: LlmspellError) -> LlmspellError:
    """For `chat -c "go on"`, as llm has it, where what stands behind it is no path."""
    file = str(error.details.get("file") or "")
    if os.sep in file or file.endswith(".toml"):
        return error
    hint = "-c is the configuration file; a conversation goes on at its own prompt, and with /save and /load"
    return type(error)(error.message, hint=hint, details=error.details)


def _as_options(error: LlmspellError, argv: list[str]) -> str | None:
    """What is wrong with the fields of a request, by the options that were typed for them; None where others are."""
    problems = error.details.get("problems")
    if not isinstance(problems, list) or not problems:
        return None
    typed = {word.partition("=")[0] for word in argv}
    told = []
    for problem in problems:
        option = f"--{str(problem.get('field')).removeprefix('options.').replace('_', '-')}"
        if option not in typed:
            return None
        told.append(f"{option}: {problem.get('message')}")
    return "; ".join(told)


def _stderr(text: str) -> None:
    to_stderr(text + "\n")

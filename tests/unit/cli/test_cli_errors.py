"""Failures as users see them."""

from __future__ import annotations

import json

import pytest

from llmspell_cli.endings import Interrupted, NoAnswer, resumable
from llmspell_cli.errors import report, report_defect
from llmspell_cli.invocation import Collected
from llmspell_protocol.errors import (
    BackendNotConfigured,
    Cancelled,
    ConfigError,
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
    NotFound,
)
from tests.support.command_line import call

STEPS = (
    "Backend 'candle' not configured. To use candle models:\n"
    "1. Use the builtin profile: llmspell -p candle model pull MODEL@candle\n"
    "2. Or configure candle provider in your config file"
)


def shown(
    capsys: pytest.CaptureFixture[str], error: LlmspellError, *argv: str, env: dict[str, str] | None = None
) -> tuple[int, str]:
    said = Collected(list(argv), env or {})
    if "--connect" in argv:
        said.say("connect", "auto", "--connect")
    status = report(error, said)
    captured = capsys.readouterr()
    assert captured.out == ""
    return status, captured.err


def test_an_error_is_one_line_and_its_hint_another(capsys: pytest.CaptureFixture[str]) -> None:
    error = ModelNotFound("Model 'x' not found in any backend", hint="llmspell model available")
    assert shown(capsys, error) == (3, "Error: Model 'x' not found in any backend\nHint: llmspell model available\n")


def test_an_error_in_json_mode_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = shown(capsys, NotFound("gone", details={"id": 1}), "--json")
    assert status == 3
    assert text.count("\n") == 1
    assert json.loads(text) == {"error": {"code": "not_found", "message": "gone", "hint": None, "details": {"id": 1}}}


def test_steps_are_indented_and_name_the_users_own_command(capsys: pytest.CaptureFixture[str]) -> None:
    error = BackendNotConfigured(STEPS, details={"backend": "candle", "profile": "candle"})
    status, text = shown(capsys, error, "-p", "minimal", "model", "pull", "tiny llama@candle")
    assert status == 2
    assert text == (
        "Error: Backend 'candle' not configured. To use candle models:\n"
        " 1. Use the builtin profile: llmspell -p candle model pull 'tiny llama@candle'\n"
        " 2. Or configure candle provider in your config file\n"
    )


def test_what_is_wrong_with_an_option_is_told_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [{"field": "device", "message": "'x' is not one of auto, cpu"}]
    error = InvalidRequest("Invalid model load request: device: …", details={"problems": problems})
    assert (
        shown(capsys, error, "model", "load", "a", "--device=x")[1] == "Error: --device: 'x' is not one of auto, cpu\n"
    )
    assert shown(capsys, error, "model", "load", "a")[1] == "Error: Invalid model load request: device: …\n"


def test_on_a_connected_kernel_the_hint_is_to_start_that_with_the_profile(capsys: pytest.CaptureFixture[str]) -> None:
    error = BackendNotConfigured(STEPS, details={"backend": "candle", "profile": "candle"})
    _, text = shown(capsys, error, "--connect", "auto", "model", "list")
    assert text.endswith("\nHint: start the kernel with -p candle\n")


def test_ctrl_c_is_no_error_and_a_request_that_others_cancelled_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, Interrupted("Cancelled")) == (130, "Cancelled\n")
    assert shown(capsys, Cancelled("the kernel is shutting down")) == (130, "Error: the kernel is shutting down\n")


def test_who_interrupts_a_pull_is_told_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Interrupted) as ended, resumable("smollm2:135m"):
        raise Interrupted("Cancelled")
    told = "Cancelled\nHint: llmspell model pull smollm2:135m goes on from there\n"
    assert shown(capsys, ended.value) == (130, told)


def test_words_behind_c_are_told_what_it_is_unless_they_are_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    def hint(file: str, *argv: str) -> list[str]:
        error = ConfigError(f"configuration file not found: {file}", details={"file": file})
        return shown(capsys, error, *argv)[1].splitlines()[1:]

    told = "Hint: -c is the configuration file; a conversation goes on at its own prompt, and with /save and /load"
    assert hint("go on", "chat", "-c", "go on") == [told]
    assert hint("mine.toml", "chat", "-c", "mine.toml") == []
    assert hint("deep/mine", "chat", "-c", "deep/mine") == []
    assert hint("go on", "run", "-c", "go on", "x.lua") == []


def test_a_question_without_an_answer_is_a_failure_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, NoAnswer("Cancelled", hint="use --yes")) == (1, "Cancelled\nHint: use --yes\n")


@pytest.mark.parametrize("level", ["debug", "trace"])
def test_a_defect_shows_its_traceback_only_where_debugging_was_asked_for(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    said = Collected([], {})
    report_defect(caught.value, said)
    assert capsys.readouterr().err == (
        "Error: this is a defect of llmspell: ZeroDivisionError: oops\nHint: run it again with --trace debug\n"
    )
    said.say("trace", level, "--trace")
    report_defect(caught.value, said)
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    said.say("output", "json", "--output")
    report_defect(caught.value, said)
    # One object a line, whatever happens.
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["message"] == "this is a defect of llmspell: ZeroDivisionError: oops"
    assert told["details"]["traceback"][0] == "Traceback (most recent call last):"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("run",), "Error: missing argument 'SCRIPT'\nHint: llmspell run --help\n"),
        (("completion",), "Error: missing argument 'SHELL': bash, zsh, fish\nHint: llmspell completion --help\n"),
        (("model", "list", "--bakend", "x"), "Error: unknown option '--bakend'\nHint: did you mean '--backend'?\n"),
        (("run", "nosuch.lua"), "Error: Script file not found: nosuch.lua\n"),
        (
            ("model", "unload"),
            "Error: name a model, or say --all\nHint: llmspell model ps; kernels: llmspell kernel stop\n",
        ),
        (("kernel", "stop", "--all", "--id", "x"), "Error: Cannot use --all with --id or --pid-file\n"),
        (("kernel", "stop", "--pid-file", "p", "--id", "x"), "Error: Cannot specify both --id and --pid-file\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage_errors_are_in_our_form(words: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, *words)
    assert (done.out, done.err) == ("", text)
    assert done.status == (3 if "not found" in text else 2)


def test_a_model_that_was_not_found_may_be_at_a_silent_backend(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reasons = {"ollama": "no answer from http://127.0.0.1:9", "candle": "not installed"}
    error = ModelNotFound("Model 'x' not found in any backend", hint="do this", details={"reasons": reasons})
    assert shown(capsys, error)[1].splitlines() == [
        "Error: Model 'x' not found in any backend",
        "Hint: do this",
        "Hint: ollama can't tell: no answer from http://127.0.0.1:9",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("chat --temperature hot", "invalid value for '--temperature': 'hot' is not a number"),
        ("chat --max-tokens 1.5", "invalid value for '--max-tokens': '1.5' is not a whole number"),
        ("exec 1 --timeout soon", "invalid value for '--timeout': 'soon' is not a number"),
        ("exec 1 --timeout 0", "invalid value for '--timeout': 0.0 must be more than 0"),
        ("embed x --batch-size 0", "invalid value for '--batch-size': 0 must be at least 1"),
    ],
)
def test_a_number_that_is_none_or_too_small_is_told_in_words(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, *words.split())
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: {said}")


def test_a_device_that_was_asked_for_by_an_option_is_no_matter_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    details = {"key": "providers.candle.device", "asked": "cuda", "found": []}
    error = ConfigError("no such device", hint="set providers.candle.device", details=details)
    assert (
        "\nHint: --device auto takes what there is" in shown(capsys, error, "model", "load", "a", "--device", "cuda")[1]
    )
    assert "\nHint: set providers.candle.device\n" in shown(capsys, error, "model", "load", "a")[1]

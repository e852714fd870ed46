"""Errors cross every border whole, and each code has its class, its exit status and its place in the tree."""

from __future__ import annotations

import json

import pytest

from llmspell_protocol.errors import (
    ERRORS,
    Cancelled,
    ContextLengthExceeded,
    Internal,
    KernelUnreachable,
    LlmspellError,
    ModelNotFound,
    NotFound,
    ScriptError,
    Unavailable,
    error_from_content,
    exit_status,
)

CODES = {
    "invalid_request": 2,
    "unsupported": 2,
    "unauthorized": 4,
    "forbidden": 1,
    "not_found": 3,
    "model_not_found": 3,
    "tool_not_found": 3,
    "session_not_found": 3,
    "profile_not_found": 3,
    "config_error": 2,
    "backend_not_configured": 2,
    "unavailable": 4,
    "backend_unavailable": 4,
    "kernel_unreachable": 4,
    "busy": 1,
    "timeout": 5,
    "cancelled": 130,
    "model_error": 1,
    "model_load_failed": 1,
    "model_in_use": 1,
    "out_of_memory": 1,
    "context_length_exceeded": 1,
    "schema_unsupported": 1,
    "schema_violation": 1,
    "worker_crashed": 1,
    "download_error": 1,
    "checksum_mismatch": 1,
    "disk_full": 1,
    "storage_error": 1,
    "storage_damaged": 1,
    "storage_version": 1,
    "conflict": 1,
    "source_unavailable": 1,
    "rate_limited": 1,
    "script_error": 1,
    "script_limit": 1,
    "tool_error": 1,
    "workflow_failed": 1,
    "internal": 1,
}


def test_the_codes_and_exit_statuses_are_those_that_users_script_against() -> None:
    assert {code: kind.exit_status for code, kind in ERRORS.items()} == CODES
    assert {code: exit_status(code) for code in CODES} == CODES
    assert exit_status("a code of next year") == 1


def test_the_tree_says_what_is_a_case_of_what() -> None:
    assert issubclass(ModelNotFound, NotFound)
    assert issubclass(KernelUnreachable, Unavailable)
    assert ERRORS["internal"] is Internal


@pytest.mark.parametrize("code", CODES)
def test_an_error_comes_back_from_its_content_as_it_was(code: str) -> None:
    sent = ERRORS[code]("what happened", hint="what to do", details={"model": "x", "n": 3}, retryable=True)
    came = error_from_content(json.loads(json.dumps(sent.to_content())))
    assert type(came) is type(sent)
    assert (came.message, came.hint, came.details, came.retryable) == (
        "what happened",
        "what to do",
        {"model": "x", "n": 3},
        True,
    )


def test_error_content_is_an_error_for_jupyter_frontends_too() -> None:
    content = ContextLengthExceeded("too long", details={"prompt_tokens": 9, "limit": 8}).to_content()
    assert content["status"] == "error"
    assert (content["ename"], content["evalue"]) == ("context_length_exceeded", "too long")
    assert content["traceback"] == ["too long"]
    assert "hint" not in content


def test_a_script_s_traceback_is_shown_as_jupyter_s() -> None:
    error = ScriptError("boom", details={"traceback": ["chat.lua:3: boom", "in main chunk"]})
    assert error.to_content()["traceback"] == ["chat.lua:3: boom", "in main chunk"]


def test_whether_to_retry_is_the_class_s_unless_said_otherwise() -> None:
    assert KernelUnreachable("gone").retryable
    assert not NotFound("no").retryable
    assert not KernelUnreachable("gone", retryable=False).retryable


def test_a_code_from_a_newer_kernel_is_kept() -> None:
    came = error_from_content({"status": "error", "code": "quota_exceeded", "message": "enough for today"})
    assert type(came) is Internal
    assert came.details["code"] == "quota_exceeded"
    assert came.message == "enough for today"


def test_an_error_of_another_kernel_is_a_script_s() -> None:
    came = error_from_content(
        {"status": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": ["line 1"]}
    )
    assert isinstance(came, ScriptError)
    assert came.message == "ZeroDivisionError: division by zero"
    assert came.details["traceback"] == ["line 1"]


@pytest.mark.parametrize("status", ["aborted", "abort"])
def test_a_request_that_another_one_s_error_aborted_is_cancelled(status: str) -> None:
    assert isinstance(error_from_content({"status": status}), Cancelled)


def test_an_error_is_caught_as_one_of_ours() -> None:
    with pytest.raises(LlmspellError, match="no model"):
        raise ModelNotFound("no model 'x'")

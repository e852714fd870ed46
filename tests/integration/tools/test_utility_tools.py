"""The utility tools in a kernel's own workers: their examples work, and what never ends is ended."""

from __future__ import annotations

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import Timeout
from tests.support.kernels import KernelProcess

UTILITIES = (
    "base64-encoder",
    "calculator",
    "datetime-handler",
    "diff-calculator",
    "hash-calculator",
    "template-creator",
    "text-manipulator",
    "uuid-generator",
)
ENDLESS = {"operation": "validate", "input": "a" * 64 + "!", "pattern": "^(a+)+$"}
"""Halves of the text fit in 2^64 ways, none of them whole."""


def asked(client: Client, action: str, timeout_s: float = 60, **content: object) -> dict[str, object]:
    """The content of a tool_reply."""
    options = {"llmspell": {"timeout_s": timeout_s}}
    reply = client.request("tool_request", {"action": action, **content}, metadata=options).result(90).content
    return dict(reply)


def test_the_example_of_every_utility_works(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        for tool in UTILITIES:
            reply = asked(client, "test", tool=tool)
            assert reply["success"] is True, reply


def test_an_expression_that_never_ends_is_ended_and_the_next_call_works(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        with pytest.raises(Timeout):
            asked(client, "invoke", 1.0, tool="text-manipulator", parameters=ENDLESS)
        said = {"operation": "uppercase", "text": "next"}
        assert asked(client, "invoke", tool="text-manipulator", parameters=said)["output"] == "NEXT"


def test_a_problem_of_the_operation_is_no_error_of_the_call(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        reply = asked(client, "invoke", tool="template_creator", parameters={"template": "{{ missing }}"})
    assert reply["success"] is False
    assert reply["error"] == {"message": "the tera template: 'missing' is undefined", "code": "tool_error"}

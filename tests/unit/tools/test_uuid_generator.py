"""uuid-generator: every operation, version, format, form and error; made identifiers are held against Python's own."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import call_tool

NAME = "uuid-generator"
ONE = "12345678-1234-4678-9234-567812345678"


@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        ({}, "v4"),
        ({"operation": "generate"}, "v4"),
        ({"version": "v4"}, "v4"),
        ({"version": "4"}, "v4"),
        ({"version": 4}, "v4"),
        ({"version": 4.0}, "v4"),
        ({"version": "V1"}, "v1"),
        ({"version": 7}, "v7"),
        ({"format": "v7"}, "v7"),
        ({"format": "4"}, "v4"),
        ({"version": "v5", "name": "example.com"}, "v5"),
        ({"version": "nil"}, "nil"),
    ],
)
def test_versions_have_several_names(arguments: dict[str, Any], version: str) -> None:
    called = call_tool(NAME, arguments)
    assert called.result["version"] == version
    assert called.result["format"] == "hyphenated"
    assert called.result["uuids"] == [called.result["uuid"]] == [called.output]
    found = uuid.UUID(called.output)
    assert str(found) == called.output
    if version == "nil":
        assert found.int == 0
    else:
        assert (f"v{found.version}", found.variant) == (version, uuid.RFC_4122)


@pytest.mark.parametrize(
    ("arguments", "pattern", "said"),
    [
        ({"format": "standard"}, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "hyphenated"),
        ({"format": "hyphenated"}, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "hyphenated"),
        ({"hyphenated": True}, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "hyphenated"),
        ({"format": "simple"}, r"[0-9a-f]{32}", "simple"),
        ({"hyphenated": False}, r"[0-9a-f]{32}", "simple"),
        ({"format": "URN"}, r"urn:uuid:[0-9a-f-]{36}", "urn"),
        ({"format": "braced"}, r"\{[0-9a-f-]{36}\}", "braced"),
    ],
)
def test_formats(arguments: dict[str, Any], pattern: str, said: str) -> None:
    called = call_tool(NAME, arguments)
    assert re.fullmatch(pattern, called.output)
    assert called.result["format"] == said


@pytest.mark.parametrize("version", ["v1", "v4", "v7"])
def test_many_at_once_are_all_different(version: str) -> None:
    uuids = call_tool(NAME, {"count": 5000, "version": version}).result["uuids"]
    assert len(set(uuids)) == 5000


def test_version_7_is_in_order_and_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    uuids = call_tool(NAME, {"version": "v7", "count": 10_000}).result["uuids"]
    assert uuids == sorted(uuids)
    first = uuid.UUID(uuids[0]).int >> 80
    assert before <= first <= time.time_ns() // 1_000_000


def test_version_1_does_not_tell_the_network_card() -> None:
    one, other = (uuid.UUID(text) for text in call_tool(NAME, {"version": "v1", "count": 2}).result["uuids"])
    assert one.node != other.node
    assert one.node & (1 << 40)  # RFC 9562, 6.10: no card has this bit


@given(st.sampled_from([("dns", uuid.NAMESPACE_DNS), ("url", uuid.NAMESPACE_URL), (ONE, uuid.UUID(ONE))]), st.text())
def test_version_5_is_python_s(namespace: tuple[str, uuid.UUID], name: str) -> None:
    called = call_tool(NAME, {"version": "v5", "namespace": namespace[0], "name": name})
    assert called.output == str(uuid.uuid5(namespace[1], name))


def test_any_name_is_a_namespace() -> None:
    one = call_tool(NAME, {"version": "v5", "namespace": "test", "name": "workflow"}).output
    assert one == call_tool(NAME, {"version": "v5", "namespace": "test", "name": "workflow"}).output
    assert one != call_tool(NAME, {"version": "v5", "namespace": "other", "name": "workflow"}).output


def test_a_component_s_identifier_has_its_prefix() -> None:
    called = call_tool(NAME, {"operation": "component_id", "prefix": "tool"})
    assert re.fullmatch(r"tool_[0-9a-f-]{36}", called.output)
    assert called.result == {"id": called.output, "prefix": "tool", "short": False}
    short = call_tool(NAME, {"operation": "component_id", "short": True})
    assert re.fullmatch(r"component_[0-9a-f]{8}", short.output)


def test_a_deterministic_identifier_is_always_the_same() -> None:
    called = call_tool(NAME, {"operation": "deterministic", "name": "x", "namespace": "tool"})
    assert called.result == {"id": called.output, "namespace": "tool", "name": "x"}
    assert called.output == str(uuid.uuid5(uuid.UUID("7cb24e6b-4f6e-5b6c-af8f-4e6b3f5e4b3c"), "x"))
    assert call_tool(NAME, {"operation": "deterministic", "name": "x"}).result["namespace"] == "agent"


def test_a_custom_identifier_has_the_parts_that_are_asked_for() -> None:
    given_parts = {"prefix": "a", "suffix": "z", "timestamp": True, "short": True}
    called = call_tool(NAME, {"operation": "custom", **given_parts})
    assert re.fullmatch(r"a_\d{10,}_[0-9a-f]{8}_z", called.output)
    assert called.result == {"id": called.output, "timestamp": True, "short": True}
    assert re.fullmatch(r"[0-9a-f-]{36}", call_tool(NAME, {"operation": "custom"}).output)


@pytest.mark.parametrize(
    "written", [ONE, ONE.upper(), ONE.replace("-", ""), f"urn:uuid:{ONE}", f"{{{ONE}}}", f"URN:UUID:{ONE}"]
)
def test_a_uuid_is_valid_in_every_way_of_writing_it(written: str) -> None:
    called = call_tool(NAME, {"operation": "validate", "uuid": written})
    assert called.result == {"valid": True, "uuid": ONE, "version": "v4", "variant": "RFC4122"}
    assert called.output is True
    assert called.outcome is not None
    assert called.outcome.fields == called.result


@pytest.mark.parametrize(
    "written", ["", "x", ONE[:-1], ONE + "0", "1-2345678123446789234567812345678", "{" + ONE, "é" * 32]
)
def test_everything_else_is_not(written: str) -> None:
    called = call_tool(NAME, {"operation": "validate", "uuid": written})
    assert called.result == {"valid": False, "error": "Invalid UUID format"}
    assert called.output is False


def test_the_nil_uuid_is_one() -> None:
    assert call_tool(NAME, {"operation": "validate", "uuid": "0" * 32}).result["version"] == "nil"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"operation": "x"}, "Unknown operation: x"),
        ({"version": "v6"}, "Unknown version: v6"),
        ({"format": "x"}, "Unknown format: x"),
        ({"version": "v5"}, "Missing required parameter 'name'"),
        ({"operation": "deterministic"}, "Missing required parameter 'name'"),
        ({"operation": "validate"}, "Missing required parameter 'uuid'"),
        ({"count": 0}, "'count'"),
        ({"count": 10**6}, "'count'"),
        ({"version": "v5", "name": "x", "namespace": "a\0b"}, "zero byte"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)

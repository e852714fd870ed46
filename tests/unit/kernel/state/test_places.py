"""Scopes and keys: which there can be, and which of them are the same."""

from __future__ import annotations

import pytest

from llmspell_kernel.services.state.places import place_of, scope_of
from llmspell_protocol.errors import InvalidRequest


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("global", "global"),
        ("custom", "custom"),
        ("user:1", "user:1"),
        ("workflow:wf:2", "workflow:wf:2"),
        ("cache", "custom:cache"),
        ("custom:cache", "custom:cache"),
        ("session", "custom:session"),
        ("team:red", "custom:team:red"),
    ],
)
def test_any_other_scope_is_a_custom_one(scope: str, name: str) -> None:
    assert scope_of(scope) == name


@pytest.mark.parametrize("key", ["workflow_inputs", "cache:user:1", "a.b", "user/1", "ключ", " ", "_x", "x" * 256])
def test_a_key_may_be_nearly_anything(key: str) -> None:
    assert place_of("conn", "global", key).key == key


def test_keys_that_look_the_same_are_the_same() -> None:
    assert place_of("conn", "global", "e\u0301tat") == place_of("conn", "global", "\u00e9tat")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "it is empty"),
        ("x" * 257, "it has more than 256 characters"),
        ("a..b", "it has '..' in it"),
        ("a\\b", "it has a backslash in it"),
        ("a//b", "it has '//' in it"),
        ("a\0", "it has NUL in it"),
        ("a\nb", "it has a line break in it"),
        ("a\rb", "it has a line break in it"),
        ("__x", "it starts with '__' or '$$'"),
        ("$$x", "it starts with '__' or '$$'"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_with_the_reason(key: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        place_of("conn", "global", key)
    assert told.value.message.startswith(f"Invalid state key: {why}")


def test_key_and_scope_together_have_a_limit() -> None:
    assert place_of("conn", "user:" + "u" * 250, "k" * 256)
    with pytest.raises(InvalidRequest, match="more than 512 characters with its scope"):
        place_of("conn", "user:" + "u" * 251, "k" * 256)


@pytest.mark.parametrize("scope", ["", "user:", "a..b", "x" * 512])
def test_a_scope_that_cannot_be_one_is_refused(scope: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid state scope"):
        scope_of(scope)


def test_a_whole_key_in_scope_custom_is_the_entry_that_it_names() -> None:
    assert place_of("conn", "custom", ":workflow:w1:agent:bob:output") == ("conn", "workflow:w1", "agent:bob:output")
    assert place_of("conn", "custom", ":plain") == ("conn", "custom", "plain")
    assert place_of("conn", "custom", ":global:x") == ("conn", "custom", "global:x")

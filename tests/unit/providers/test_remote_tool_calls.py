"""Calls of tools out of the pieces of a stream, as servers number and name them, right or wrong."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_providers.remote.tool_calls import CallParts

_TWO = [("f", {"a": 1}), ("g", {"b": 2})]
_SAME = [("f", {"a": 1}), ("f", {"a": 2})]

Piece = dict[str, Any]


def _piece(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> Piece:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    given = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in given.items() if value is not None}


def _gathered(pieces: list[Piece]) -> list[tuple[str, dict[str, Any]]]:
    parts = CallParts()
    for at, piece in enumerate(pieces):
        parts.take(piece, f"tool_calls[{at}]")
    calls = parts.calls()
    assert len({call.id for call in calls}) == len(calls)
    return [(call.name, dict(call.arguments)) for call in calls]


@pytest.mark.parametrize("names", [("f", "g"), ("f", "f")], ids=["two tools", "one tool twice"])
@pytest.mark.parametrize("index", [0, None], ids=["all at 0", "no index"])
@pytest.mark.parametrize("ids", [("1", "2"), (None, None)], ids=["ids", "no ids"])
@pytest.mark.parametrize("shape", ["text", "object"])
def test_calls_that_come_whole_are_kept_apart_however_they_are_numbered(
    names: tuple[str, str], index: int | None, ids: tuple[str | None, str | None], shape: str
) -> None:
    arguments: list[Any] = [{"a": 1}, {"b": 2}] if shape == "object" else ['{"a": 1}', '{"b": 2}']
    pieces = [_piece(index, *one) for one in zip(ids, names, arguments, strict=True)]

    assert _gathered(pieces) == [(names[0], {"a": 1}), (names[1], {"b": 2})]


def test_calls_in_pieces_that_all_have_index_0_are_told_apart_by_their_ids() -> None:
    pieces = [_piece(0, "1", "f", ""), _piece(0, None, None, '{"a"'), _piece(0, None, None, ": 1}")]
    pieces += [_piece(0, "2", "f", ""), _piece(0, None, None, '{"a"'), _piece(0, None, None, ": 2}")]

    assert _gathered(pieces) == _SAME


def test_interleaved_pieces_go_by_their_index() -> None:
    pieces = [_piece(0, "1", "f", '{"a"'), _piece(1, "2", "g", '{"b"'), _piece(0, None, None, ": 1}")]

    assert _gathered([*pieces, _piece(1, None, None, ": 2}")]) == _TWO


@pytest.mark.parametrize("call_id", ["1", None])
def test_a_name_that_every_piece_repeats_is_one_name(call_id: str | None) -> None:
    pieces = [_piece(0, call_id, "f", piece) for piece in ('{"a', '": ', "1}", "")]

    assert _gathered(pieces) == [("f", {"a": 1})]


def test_pieces_that_have_an_id_each_are_one_call() -> None:
    pieces = [_piece(0, "1", "f", ""), _piece(0, "2", None, '{"a": '), _piece(0, "3", None, "1}")]

    assert _gathered(pieces) == [("f", {"a": 1})]


def test_a_name_in_pieces_is_put_together() -> None:
    assert _gathered([_piece(0, "1", "get_", None), _piece(0, None, "weather", "{}")]) == [("get_weather", {})]


def test_more_pieces_than_are_looked_at_are_still_one_call() -> None:
    pieces = [_piece(0, "1", "f", piece) for piece in ('{"a": "', *["}"] * 2000, '"}')]

    assert _gathered(pieces) == [("f", {"a": "}" * 2000})]

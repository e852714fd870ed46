"""What is typed behind `llmspell rag …`, and what is said about what can't be meant, before a kernel is asked."""

from __future__ import annotations

import io
from typing import Any

import pytest

from llmspell_cli.commands.rag.requests import Place, metadata, wanted_metadata
from llmspell_protocol.errors import InvalidRequest
from tests.support.command_line import call


def test_metadata_is_json_where_it_can_be_and_else_text() -> None:
    given = [
        "year=2024",
        "who=Ada",
        "draft=false",
        'tags=["a", "b"]',
        'code="007"',
        "none=null",
        "x=NaN",
        "e=",
        "a=b=c",
    ]
    assert metadata(given) == {
        "year": 2024,
        "who": "Ada",
        "draft": False,
        "tags": ["a", "b"],
        "code": "007",
        "none": None,
        "x": "NaN",
        "e": "",
        "a": "b=c",
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), {}),
        (("who=Ada",), {"who": "Ada"}),
        (("who=Ada", "who=Bob", "who=Ada"), {"who": ["Ada", "Bob"]}),
        (("year=2024",), {"year": [2024, "2024"]}),
        (("draft=true",), {"draft": [True, "true"]}),
        (("n=1", "n=true"), {"n": [1, "1", True, "true"]}),
        (('code="007"',), {"code": "007"}),
        (('tag=["a", "b"]', "tag=c"), {"tag": ["a", "b", "c"]}),
    ],
)
def test_a_filter_fits_any_of_its_values_as_number_and_as_text(given: tuple[str, ...], found: dict[str, Any]) -> None:
    assert wanted_metadata(given) == found


@pytest.mark.parametrize(
    ("read", "words", "message"),
    [
        (metadata, ["year"], "--metadata year: it has no ="),
        (metadata, ["=x"], "--metadata =x: it has no key"),
        (metadata, ["a=1", "a=2"], "--metadata has 'a' twice"),
        (wanted_metadata, ["year"], "--filter year: it has no ="),
        (wanted_metadata, ['a={"b": 1}'], "--filter a: an object can't be looked for"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_form(read: Any, words: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest) as failed:
        read(words)
    assert failed.value.message == message
    assert failed.value.hint


def test_a_place_is_named_in_words_and_options() -> None:
    assert Place(None, None).words == "collection 'default'"
    assert Place("notes", "acme").words == "collection 'notes' of tenant 'acme'"
    assert Place("notes", "acme").options == ("--collection", "notes", "--tenant", "acme")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "x", "-k", "0"), "is not in the range"),
        (("search", "x", "-k", "many"), "a whole number"),
        (("search", "x", "--threshold", "2"), "is not in the range"),
        (("search", "x", "--method", "magic"), "'hybrid', 'vectors', 'words'"),
        (("search", " "), "there is no question"),
        (("search", "x", "--filter", "year"), "--filter year: it has no ="),
        (("ask", "  "), "there is no question"),
        (("ask", "x", "-k", "-1"), "is not in the range"),
        (("ingest",), "missing argument"),
        (("ingest", "ftp://a.example"), "ftp:// can't be read"),
        (("ingest", "docs", "--id", "x"), "--id and --title are of the text from standard input"),
        (("ingest", "docs", "--ttl", "soon"), "'soon' is no duration"),
        (("ingest", "docs", "--ttl", "0"), "longer than 0"),
        (("ingest", "docs", "--chunk-size", "10", "--overlap", "10"), "--overlap has to be less"),
        (("ingest", "docs", "--metadata", "year"), "--metadata year: it has no ="),
        (("ingest", "-"), "standard input is empty"),
        (("delete",), "it is not said which documents"),
    ],
)
def test_what_is_wrong_in_the_words_costs_no_kernel(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    done = call(capsys, "rag", *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert "\nHint: " in done.err or "--overlap" in message


def test_what_is_no_text_on_standard_input_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for data in (b"a\0b", b"%PDF\xff\xfe"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = call(capsys, "rag", "ingest", "-")
        assert done.status == 2
        assert "standard input is not" in done.err

"""Passages, counts and progress as `llmspell rag` shows them, from the records that a kernel sends."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest

from llmspell_cli.commands.rag.ingest import STRATEGIES
from llmspell_cli.commands.rag.origins import Origins
from llmspell_cli.commands.rag.passages import details, excerpt, place_of, show_passage
from llmspell_cli.commands.rag.progress import RagProgressView
from llmspell_cli.commands.rag.requests import METHODS, Place
from llmspell_cli.commands.rag.taken import failure, removed_text, show_taken
from llmspell_cli.invocation import Options
from llmspell_cli.terminal.output import Output
from llmspell_protocol.areas.rag import (
    Method,
    RagDeleteReply,
    RagHit,
    RagIngestReply,
    RagProblem,
    RagProgress,
    Strategy,
)
from llmspell_protocol.errors import InvalidRequest, NotFound

TEXT = "High water comes twice a day. " * 20 + "The harbour opens its gate at low water. " + "Boats wait. " * 20


def hit(**fields: Any) -> dict[str, Any]:
    """A hit as a reply has it."""
    known: dict[str, Any] = {
        "id": "tides#0",
        "document": "tides",
        "title": None,
        "source": None,
        "text": "High water comes twice a day.",
        "score": 0.8349,
        "metadata": {},
        "page": None,
        "section": None,
        "line": None,
        "start": 0,
        "end": 29,
        "tokens": 8,
        "by_words": 1,
        "by_vectors": 3,
    }
    return asdict(RagHit(**(known | fields)))


def taken(**fields: Any) -> dict[str, Any]:
    """What an ingest answers."""
    known: dict[str, Any] = {
        "ids": ["tides"],
        **dict.fromkeys(("added", "changed", "unchanged", "removed"), 0),
        "skipped": [],
        "failed": [],
        "chunks": 0,
        "vectors": 0,
        "tokens": 0,
        "model": "mock/embed",
        "dimension": 8,
        "warnings": [],
        "duration_ms": 1234.0,
    }
    return asdict(RagIngestReply(**(known | fields)))


def problem(source: str, code: str = "invalid_request", message: str = "is no text") -> RagProblem:
    return RagProblem(source=source, code=code, message=message, hint="another file")


def progress(**fields: Any) -> dict[str, Any]:
    """How far an ingest is."""
    known: dict[str, Any] = {
        "stage": "embedding",
        "current": "/docs/tides.md",
        "documents_done": 12,
        "documents": 98,
        "chunks_done": 230,
        "bytes_done": 40_000,
        "bytes": 100_000,
        "rate": 41.6,
        "eta_s": 74.0,
    }
    return {"seq": 1, **asdict(RagProgress(**(known | fields)))}


def test_choices_are_those_of_the_protocol() -> None:
    assert get_args(Strategy) == STRATEGIES
    assert get_args(Method) == METHODS


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "tides"),
        ({"line": 1}, "tides"),
        ({"title": "Tides"}, "Tides"),
        ({"title": "Tides", "line": 12, "section": "High water"}, "Tides, line 12, High water"),
        ({"source": "/x/tides.md", "line": 12}, "/x/tides.md:12"),
        ({"source": "/x/tides.md", "title": "Tides", "line": 12, "section": "Tides"}, "Tides: /x/tides.md:12"),
        ({"source": "/x/tides.md", "title": "tides.md", "line": 1}, "/x/tides.md:1"),
        ({"source": "/x/tides.pdf", "title": "Tides", "page": 3, "line": 40}, "Tides: /x/tides.pdf, page 3"),
        ({"source": "https://a.example/tides", "line": 9, "section": "A"}, "https://a.example/tides, A"),
    ],
)
def test_a_passage_says_where_it_stands(fields: dict[str, Any], place: str) -> None:
    assert place_of(hit(**fields)) == place


def test_a_path_is_as_short_as_it_can_be_typed_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert place_of(hit(source=f"{tmp_path}/docs/tides.md", line=2)) == "docs/tides.md:2"
    assert place_of(hit(source="/home/ada/tides.md", line=2)) == "~/tides.md:2"


def test_an_excerpt_is_where_the_words_of_the_question_stand() -> None:
    found = excerpt(TEXT, "When does the harbour open its gate?")
    assert found.startswith("… ")
    assert found.endswith(" …")
    assert "The harbour opens its gate at low water." in found
    assert len(found) <= 244
    assert excerpt(TEXT, "nothing of it").startswith("High water comes")
    assert excerpt("short\n  text", "x") == "short text"
    assert excerpt("# Tides\n\n## High water #\n\nTwice a day.", "x") == "Tides: High water: Twice a day."
    assert excerpt("so:\n```sh\nmake\n```\nthen", "x") == "so: make then"
    assert len(excerpt("x" * 1000, "x")) <= 244


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("full", [False, True])
def test_a_passage_fits_a_narrow_terminal(
    columns: int, full: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    one = hit(title="All about the tides of the sea", source="/x/tides.md", line=12, section="High water", text=TEXT)
    show_passage(Output(Options(color=False)), 1, one, "harbour gate", full=full, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("[1] All about the tides")
    said = " ".join(" ".join(lines).split())
    assert "0.83" in said
    assert "tides#0, 8 tokens, by words 1 and by meaning 3" in said
    assert ("Boats wait. " * 20 in f"{said} ") is full


def test_a_pipe_gets_a_passage_in_lines_that_are_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    show_passage(Output(Options()), 2, hit(text="a\n\n  b\x1b[2J\n"), "x", full=True, verbose=False)
    assert capsys.readouterr().out == "[2] tides  0.83\n    a\n\n      b\\x1b[2J\n"


def test_details_name_only_what_is_known() -> None:
    assert details(hit(by_vectors=None, metadata={"year": 2024})) == "tides#0, 8 tokens, by words 1; year=2024"
    assert details(hit(by_words=None, by_vectors=None)) == "tides#0, 8 tokens"


def test_what_was_taken_in_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(Options())
    show_taken(output, taken(added=1, chunks=1), Place(None, None))
    show_taken(output, taken(added=3, changed=2, unchanged=40, removed=1, chunks=120), Place("notes", "acme"))
    show_taken(output, taken(unchanged=1), Place("notes", None))
    assert capsys.readouterr().out.splitlines() == [
        "✓ Collection 'default': 1 document added, 1 passage written",
        "✓ Collection 'notes' of tenant 'acme': 3 documents added, 2 changed, 40 unchanged, 1 removed, "
        "120 passages written",
        "✓ Collection 'notes': 1 unchanged",
    ]


def test_what_was_not_taken_in_is_named_and_is_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    origins = Origins.of(["docs"])
    reply = taken(
        added=1,
        skipped=[problem(f"/docs/{number}.png") for number in range(7)],
        failed=[problem("/docs/a.txt"), problem("/docs/b.pdf", "timeout", "took longer than 60 s")],
    )
    show_taken(Output(Options()), reply, Place(None, None))
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "skipped /docs/0.png: is no text"
    assert told[5] == "skipped 2 more that are no documents; --json lists all"
    assert told[6:] == [
        "not taken in: /docs/a.txt: is no text",
        "not taken in: /docs/b.pdf: took longer than 60 s",
    ]
    error = failure(reply, origins, Place(None, None))
    assert error is not None
    assert (error.code, error.exit_status, error.hint) == ("timeout", 5, "another file")
    assert error.message == "/docs/b.pdf: took longer than 60 s; 1 more were not taken in either"
    assert failure(taken(unchanged=1), origins, Place(None, None)) is None
    assert failure(taken(ids=[], removed=2), origins, Place(None, None)) is None
    nothing = failure(taken(ids=[]), origins, Place(None, None))
    assert isinstance(nothing, NotFound)
    assert nothing.message == "there is no document in docs"


def test_what_was_told_on_the_way_is_not_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    origins = Origins.of(["docs"])
    reply = taken(added=1, failed=[problem("/docs/a.txt"), problem("/docs/b.txt")])
    told = {"/docs/a.txt: is no text", "/docs/b.txt: is no text"}
    show_taken(Output(Options()), reply, Place(None, None), told)
    assert capsys.readouterr().err == ""
    error = failure(reply, origins, Place(None, None), told)
    assert error is not None
    assert (error.message, error.hint) == ("2 documents were not taken in", "another file")


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("allow it with --allow-net=a, or take it out of x", "take it out of x"),
        (
            "allow it with --allow-read=/a, or for every call in the setting x",
            "allow it for every call in the setting x",
        ),
        (None, None),
    ],
)
def test_a_hint_names_no_option_that_this_command_lacks(hint: str | None, shown: str | None) -> None:
    blocked = RagProblem(source="http://a", code="forbidden", message="no", hint=hint)
    error = failure(taken(failed=[blocked]), Origins.of(["http://a"]), Place(None, None))
    assert error is not None
    assert (error.message, error.hint) == ("http://a: no", shown)


def test_what_was_removed_is_counted() -> None:
    one = asdict(RagDeleteReply(documents=1, chunks=1, bytes_freed=0))
    more = asdict(RagDeleteReply(documents=1200, chunks=3000, bytes_freed=4_200_000))
    assert removed_text(one) == "1 document (1 passage)"
    assert removed_text(more) == "1,200 documents (3,000 passages, 4.2 MB freed)"


def test_words_are_paths_addresses_or_standard_input() -> None:
    origins = Origins.of(["docs", "https://a.example/x", "./http:", "HTTP://b.example"])
    assert (origins.paths, origins.urls, origins.stdin) == (
        ["docs", "./http:"],
        ["https://a.example/x", "HTTP://b.example"],
        False,
    )
    assert Origins.of(["-"]).stdin
    with pytest.raises(InvalidRequest, match=r"ftp:// can't be read"):
        Origins.of(["ftp://a.example/x"])
    with pytest.raises(InvalidRequest, match="stands alone"):
        Origins.of(["-", "docs"])


def test_paths_become_whole_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert Origins.of(["docs/../a.md", ".", "~/b", "/c/"]).whole_paths() == [
        f"{tmp_path}/a.md",
        str(tmp_path),
        "/home/ada/b",
        "/c",
    ]


def test_a_pipe_gets_a_line_each_ten_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with RagProgressView(Output(Options()), "rag ingest") as view:
        view.show(progress(stage="looking", documents=None, documents_done=0, bytes=None, rate=None, eta_s=None))
        view.show(progress(bytes_done=30_000, rate=None))
        for done in (0, 9_000, 40_000, 41_000, 100_000):
            view.show(progress(bytes_done=done))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == "rag ingest   40 %   12 of 98 documents   42 passages/s   eta 1m 14s   40.0 kB of 100 kB"


def test_programs_get_every_step_as_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    with RagProgressView(Output(Options(output="json")), "rag ingest") as view:
        view.show(progress(warning="the index was damaged"))
    warning, event = map(json.loads, capsys.readouterr().err.splitlines())
    assert warning == {"warning": "the index was damaged"}
    assert (event["event"], event["command"], event["phase"]) == ("progress", "rag ingest", "embedding")
    assert (event["documents_done"], event["documents"], event["rate"]) == (12, 98, 41.6)
    assert not {"seq", "stage", "warning"} & set(event)


def test_a_warning_on_the_way_is_told_once_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with RagProgressView(Output(Options()), "rag rebuild") as view:
        view.show(progress(warning="the index was damaged", bytes_done=0, documents_done=0))
    assert capsys.readouterr().err == "Warning: the index was damaged\n"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_has_a_bar_that_fits(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with RagProgressView(Output(Options(color=False)), "rag ingest") as view:
        view.show(progress())
    shown = capsys.readouterr().err
    assert " 40 %" in shown
    assert "12 of 98 documents" in shown
    assert ("42 passages/s" in shown) is (columns > 60)
    assert ("/docs/tides.md" in shown) is (columns >= 120)

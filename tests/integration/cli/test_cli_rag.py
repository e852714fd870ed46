"""`llmspell rag`: documents taken in, found, asked and removed from the command line, in both modes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.errors import NotFound
from llmspell_protocol.messages import Message
from tests.support.command_line import AtTerminal, Done, Running, llmspell
from tests.support.scripted_kernel import Answer, ScriptedKernel

MODEL = ("--model", "mock/a")
TIDES = "# Tides\n\n## High water\n\nHigh water comes twice a day, an hour later each day.\n"
MOON = "# The moon\n\nThe moon draws the sea, so the tides follow the moon.\n"


@pytest.fixture
def pages(home: Path, tmp_path: Path) -> Path:
    """A directory with two documents and what is none, in the working directory."""
    directory = tmp_path / "pages"
    (directory / "sub").mkdir(parents=True)
    (directory / "tides.md").write_text(TIDES)
    (directory / "sub" / "moon.md").write_text(MOON)
    return directory


def fine(done: Done) -> str:
    assert done.status == 0, done.err
    return done.out


def rag(target: list[str], *words: str, stdin: str = "") -> Done:
    return llmspell(*target, "rag", *words, stdin=stdin)


def ids(target: list[str], *words: str) -> list[str]:
    return [one["id"] for one in rag(target, "list", *words, "--json").document["documents"]]


def test_what_is_taken_in_is_found_and_told_with_its_place(target: list[str], pages: Path) -> None:
    taken = fine(rag(target, "ingest", "pages", *MODEL))
    assert taken == "✓ Collection 'default': 2 documents added, 2 passages written\n"
    found = fine(rag(target, "search", "high water", "--method", "words"))
    assert found.splitlines()[0].startswith("[1] Tides: pages/tides.md:")
    assert "High water comes twice a day, an hour later each day." in found
    listed = fine(rag(target, "list"))
    assert "pages/tides.md" in listed
    assert "pages/sub/moon.md" in listed
    hits = rag(target, "search", "moon", "--json", "-k", "1").document["hits"]
    assert [Path(hit["source"]) for hit in hits] == [pages / "sub" / "moon.md"]


def test_a_directory_taken_in_again_is_looked_at_and_what_has_changed_is_written(
    target: list[str], pages: Path
) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    again = rag(target, "ingest", "pages", "--json").document
    assert (again["unchanged"], again["chunks"], again["vectors"]) == (2, 0, 0)
    (pages / "tides.md").write_text(TIDES.replace("twice", "two times"))
    (pages / "sub" / "moon.md").unlink()
    kept = rag(target, "ingest", "pages", "--no-sync", "--json").document
    assert (kept["changed"], kept["removed"]) == (1, 0)
    assert fine(rag(target, "ingest", "pages")) == "✓ Collection 'default': 1 unchanged, 1 removed\n"
    assert ids(target) == [str(pages / "tides.md")]
    forced = rag(target, "ingest", "pages", "--force", "--json").document
    assert forced["changed"] == 1


def test_a_document_that_is_damaged_is_named_once(target: list[str], pages: Path) -> None:
    (pages / "bad.pdf").write_text("%PDF-1.4 broken")
    taken = rag(target, "ingest", "pages", *MODEL)
    assert taken.status == 2
    (warning,) = (line for line in taken.err.splitlines() if line.startswith("Warning: "))
    assert warning.count("bad.pdf") == 1


def test_figures_of_a_collection_that_is_not_there_are_an_error(target: list[str], pages: Path) -> None:
    fine(rag(target, "stats"))
    wrong = rag(target, "stats", "--collection", "nope")
    assert (wrong.status, wrong.out) == (3, "")
    assert wrong.err.startswith("Error: there is no collection 'nope'")


def test_patterns_choose_files(target: list[str], pages: Path) -> None:
    (pages / "notes.txt").write_text("The harbour is full.")
    fine(rag(target, "ingest", "pages", *MODEL, "--include", "*.md", "--exclude", "sub/**"))
    assert ids(target) == [str(pages / "tides.md")]


def test_standard_input_is_a_document_with_an_id(target: list[str], home: Path) -> None:
    words = ("ingest", "-", "--id", "wind", "--title", "The wind", *MODEL)
    fine(rag(target, *words, stdin="The wind comes from the west.\n"))
    changed = rag(target, *words, "--json", stdin="The wind comes from the east.\n").document
    assert (changed["ids"], changed["changed"]) == (["wind"], 1)
    found = fine(rag(target, "search", "wind", "-k", "1"))
    assert found.startswith("[1] The wind")
    assert "from the east" in found
    assert fine(rag(target, "delete", "wind")).startswith("✓ Removed 1 document (1 passage")


def test_metadata_is_filtered_by_as_number_and_text(target: list[str], home: Path) -> None:
    for year, draft in ((2023, "true"), (2024, "false")):
        given = ("--metadata", f"year={year}", "--metadata", f"draft={draft}")
        fine(rag(target, "ingest", "-", "--id", f"n{year}", *MODEL, *given, stdin=f"A note of {year}."))
    fine(rag(target, "ingest", "-", "--id", "text", "--metadata", 'year="2024"', stdin="Another note of 2024."))

    def found(*filters: str) -> set[str]:
        options = [word for one in filters for word in ("--filter", one)]
        return {hit["document"] for hit in rag(target, "search", "note", *options, "--json").document["hits"]}

    assert found("year=2023") == {"n2023"}
    assert found("year=2024") == {"n2024", "text"}
    assert found('year="2024"') == {"text"}
    assert found("year=2023", "year=2024") == {"n2023", "n2024", "text"}
    assert found("year=2023", "draft=false") == set()
    removed = rag(target, "delete", "--filter", "draft=true", "--json").document
    assert removed["documents"] == 1
    assert ids(target) == ["n2024", "text"]


def test_tenants_and_collections_see_nothing_of_each_other(target: list[str], home: Path) -> None:
    for tenant in ("north", "south"):
        place = ("--tenant", tenant, "--collection", "notes")
        fine(rag(target, "ingest", "-", "--id", tenant, *place, *MODEL, stdin=f"A secret of {tenant}."))
    hits = rag(target, "search", "secret", "--tenant", "north", "--collection", "notes", "--json").document["hits"]
    assert [hit["document"] for hit in hits] == ["north"]
    assert rag(target, "search", "secret", "--tenant", "north").status == 3
    assert ids(target, "--tenant", "south", "--collection", "notes") == ["south"]
    listed = fine(rag(target, "collections")).splitlines()
    assert listed[0].split()[:3] == ["COLLECTION", "TENANT", "DOCUMENTS"]
    assert [line.split()[:3] for line in listed[1:]] == [["notes", "north", "1"], ["notes", "south", "1"]]
    assert rag(target, "collections", "--tenant", "north", "--json").document["count"] == 1
    assert fine(rag(target, "clear", "--tenant", "north", "--collection", "notes", "--yes")).startswith("✓ Removed 1 ")
    assert ids(target, "--tenant", "south", "--collection", "notes") == ["south"]


def test_an_answer_comes_with_its_sources_below(target: list[str], pages: Path) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    words = ("ask", "When is high water?", "-m", "mock/a", "--method", "words", "-k", "1")
    answer, *sources = fine(rag(target, *words)).rstrip().split("\n\n[1] ")
    assert answer.startswith("[mock/a] ")
    assert sources[-1].startswith("Tides: pages/tides.md:")
    told = [json.loads(line) for line in rag(target, *words, "--json").out.splitlines()]
    assert {one["event"] for one in told[:-1]} == {"delta"}
    done = told[-1]
    assert (done["event"], done["found"]) == ("done", True)
    assert "".join(one["text"] for one in told[:-1]) == done["answer"]
    assert done["citations"][0]["hit"]["source"] == str(pages / "tides.md")
    whole = rag(target, *words, "--json", "--no-stream").document
    assert whole["answer"] == done["answer"]
    assert fine(rag(target, *words, "--no-stream")).startswith("[mock/a] ")


def test_a_question_that_nothing_fits_ends_with_3_and_asks_no_model(target: list[str], pages: Path) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    words = ("ask", "volcano", "-m", "nosuch@candle", "--method", "words")
    done = rag(target, *words)
    assert (done.status, done.out) == (3, "")
    assert "nothing in collection 'default' fits the question; no model was asked" in done.err
    told = rag(target, *words, "--json", "--no-stream")
    assert (told.status, told.document["found"], told.document["answer"]) == (3, False, None)
    assert told.error["code"] == "not_found"


def test_what_is_not_there_is_named(target: list[str], pages: Path) -> None:
    bare = pages.parent / "bare"
    bare.mkdir()
    for words, message in (
        (("ingest", "nowhere", *MODEL), f"there is no file or directory {pages.parent}/nowhere"),
        (("ingest", "bare", *MODEL), "there is no document in bare"),
        (("search", "x", "--collection", "nosuch"), "there is no collection 'nosuch'"),
        (("list", "--collection", "nosuch"), "there is no collection 'nosuch'"),
        (("clear", "--collection", "nosuch"), "there is no collection 'nosuch'"),
        (("rebuild", "--collection", "nosuch"), "there is no collection 'nosuch'"),
        (("delete", "nosuch", "--collection", "nosuch"), "there is no collection 'nosuch'"),
    ):
        done = rag(target, *words)
        assert (done.status, done.out) == (3, ""), words
        assert message in done.err.replace("~", str(Path.home()))
    assert "--include" in rag(target, "ingest", "*.md", *MODEL).err


def test_without_a_model_for_vectors_it_is_said_which_to_pull(target: list[str], pages: Path) -> None:
    done = rag(target, "ingest", "pages")
    assert (done.status, done.out) == (2, "")
    assert "Error: no model that makes vectors is installed" in done.err
    assert "llmspell model pull all-minilm:l6-v2" in done.err


def test_a_document_that_can_not_be_read_is_named_and_the_others_are_taken_in(target: list[str], pages: Path) -> None:
    (pages / "broken.pdf").write_bytes(b"%PDF-1.7\nno pdf at all")
    done = rag(target, "ingest", "pages", *MODEL, "--json")
    assert done.status != 0
    assert (done.document["added"], len(done.document["failed"])) == (2, 1)
    assert "broken.pdf" in done.error["message"]
    assert done.error["details"]["taken"] == 2


def test_a_collection_is_cleared_after_a_question(target: list[str], pages: Path) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    asked = rag(target, "clear", stdin="n\n")
    assert asked.out == "Remove collection 'default' with 2 documents? [y/N]: Cancelled\n"
    assert rag(target, "clear").status == 1
    assert rag(target, "clear", "--json").status == 2
    assert "✓ Removed 2 documents (2 passages" in fine(rag(target, "clear", stdin="y\n"))
    assert fine(rag(target, "list")) == "No documents found\n"


def test_documents_are_removed_by_id_path_and_directory(target: list[str], pages: Path) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    fine(rag(target, "delete", "pages/tides.md"))
    assert ids(target) == [str(pages / "sub" / "moon.md")]
    fine(rag(target, "delete", "--source", "pages/sub"))
    assert ids(target) == []
    assert rag(target, "delete", "--source", "pages/sub").status == 3
    assert (pages / "tides.md").exists()


def test_a_list_has_pages(target: list[str], home: Path) -> None:
    for number in range(3):
        fine(rag(target, "ingest", "-", "--id", f"n{number}", *MODEL, stdin=f"Note {number}."))
    first = rag(target, "list", "--limit", "2", "--json").document
    assert [one["id"] for one in first["documents"]] == ["n0", "n1"]
    assert ids(target, "--after", first["after"]) == ["n2"]


def test_another_model_embeds_everything_again_and_an_index_is_made_anew(target: list[str], pages: Path) -> None:
    fine(rag(target, "ingest", "pages", *MODEL))
    told = rag(target, "rebuild", "--model", "mock/b", "--json").document
    assert (told["model"], told["chunks"]) == ("mock/b@mock", 2)
    assert fine(rag(target, "rebuild")).startswith("✓ Rebuilt collection 'default': ")
    (listed,) = rag(target, "collections", "--json").document["collections"]
    assert listed["model"] == "mock/b@mock"


@pytest.fixture
def many(home: Path, tmp_path: Path) -> Path:
    """Documents that take a while to be taken in."""
    directory = tmp_path / "many"
    directory.mkdir()
    for number in range(60):
        lines = (f"Sentence {line} of document {number} tells of the sea." for line in range(2000))
        (directory / f"{number:02}.txt").write_text("\n".join(lines))
    return directory


def test_an_ingest_that_is_interrupted_keeps_what_is_finished_and_goes_on(target: list[str], many: Path) -> None:
    words = [*target, "rag", "ingest", "many", *MODEL, "--chunk-size", "50", "--overlap", "0"]
    running = Running(*words, "--json")
    running.wait_for('"documents_done": 1', stream="err")
    running.interrupt()
    done = running.done()
    assert done.status == 130, done.err
    assert done.error["code"] == "cancelled"
    assert "finished documents stay; the rest: llmspell " in done.error["hint"]
    assert shlex.join([*target, "rag", "ingest", "many"]) in done.error["hint"]
    there = ids(target)
    assert 0 < len(there) < 60
    (many / "59.txt").unlink()
    rest = llmspell(*words, "--exclude", "[2-5]*.txt", "--json", "--no-sync").document
    assert rest["unchanged"] == len([one for one in there if Path(one).name < "20"])
    assert rest["unchanged"] + rest["added"] == 20


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_shows_how_far_it_is_and_no_line_is_too_long(columns: int, many: Path) -> None:
    terminal = AtTerminal(["rag", "ingest", "many", *MODEL, "--include", "0*.txt"], columns=columns)
    terminal.wait_for("of 10 documents")
    terminal.wait_for("10 documents added")
    assert terminal.end() == 0
    assert max(len(line) for line in terminal.text.replace("\r", "\n").split("\n") if "\x1b" not in line) <= columns


def test_a_path_that_a_kernel_elsewhere_does_not_have_is_told_as_its_machines(pages: Path, tmp_path: Path) -> None:
    missing = NotFound(f"there is no file or directory {pages}", details={"path": str(pages)})

    def elsewhere(message: Message) -> Iterator[Answer]:
        yield "shell", "rag_reply", {**missing.to_content(), "seq": 0}

    with ScriptedKernel("tcp", tmp_path, elsewhere) as scripted:
        (tmp_path / "other.json").write_text(scripted.info.to_json())
        done = rag(["--connect", str(tmp_path / "other.json")], "ingest", "pages")
        assert done.status == 3
        assert "paths are those of the machine that kernel" in done.err.replace("\n", " ")
        assert "llmspell rag ingest - --id ID < FILE" in done.err
        scripted.close()

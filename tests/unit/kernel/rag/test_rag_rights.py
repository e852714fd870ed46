"""Which files a request may have read, by who asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.identity import PUBLIC, Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.sources import ReadRights
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import Permissions
from tests.support.recording_sink import RecordingSink

HERE = Caller(client="c", session="s")
SCRIPT = HERE._replace(kind="script", client="x", context="x")
LIMITED = HERE._replace(capabilities=frozenset({"execute"}), reach=PUBLIC)
ELSEWHERE = HERE._replace(local=False, reach=PUBLIC)


class Person:
    """Answers every question alike."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[tuple[Need, str]] = []

    async def permit(self, request: Request, kind: Need, name: str) -> bool:
        del request
        self.asked.append((kind, name))
        return self.answer


def rights(caller: Caller, *read: Path, person: Person | None = None, directory: Path | None = None) -> ReadRights:
    request = Request("1", "rag_request", {}, caller, RecordingSink())
    working = None if directory is None else str(directory)
    permissions = Permissions(read=tuple(map(str, read)), working_directory=working)
    return ReadRights(request, permissions, (person or Person(False)).permit)


def demanded(of: ReadRights, path: Path) -> None:
    asyncio.run(of.demand(str(path)))


def test_a_client_of_this_machine_with_all_rights_reads_what_the_kernels_user_may(tmp_path: Path) -> None:
    of = rights(HERE)
    demanded(of, tmp_path)
    assert of.beneath(str(tmp_path)) == ("*",)
    with pytest.raises(InvalidRequest, match="no absolute path"):
        of.path("notes.md")


@pytest.mark.parametrize("caller", [SCRIPT, LIMITED], ids=["script", "limited key"])
def test_others_read_what_their_permissions_allow(caller: Caller, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    of = rights(caller, inside)
    demanded(of, inside / "a.txt")
    assert of.beneath(str(inside)) == (str(inside),)
    with pytest.raises(Forbidden, match="Path not allowed"):
        demanded(of, outside)
    with pytest.raises(Forbidden, match="Path not allowed"):
        demanded(of, tmp_path / "inside")


def test_a_link_leads_no_further_than_what_it_leads_to_may_be_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    with pytest.raises(Forbidden):
        demanded(rights(SCRIPT, inside), inside / "link")


def test_a_person_who_says_yes_allows_it_for_this_request(tmp_path: Path) -> None:
    person = Person(True)
    of = rights(SCRIPT, person=person)
    demanded(of, tmp_path)
    demanded(of, tmp_path / "a.txt")
    assert person.asked == [("read", str(tmp_path))]
    assert of.beneath(str(tmp_path)) == (str(tmp_path),)


def test_a_client_on_another_machine_reads_nothing(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="a client on another machine reads no files of this one"):
        demanded(rights(ELSEWHERE, tmp_path), tmp_path)


def test_relative_paths_of_scripts_are_below_their_directory(tmp_path: Path) -> None:
    of = rights(SCRIPT, tmp_path, directory=tmp_path)
    assert of.path("docs/../a.md") == f"{tmp_path}/a.md"
    with pytest.raises(InvalidRequest, match="zero character"):
        of.path("a\0b")

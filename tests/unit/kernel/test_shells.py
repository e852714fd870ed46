"""Contexts of notebooks: which one a request means, how many subshells there may be, and who has used which model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.shells import MOST_SUBSHELLS
from llmspell_kernel.services.model_users import ModelUsers
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import Busy, InvalidRequest, NotFound
from tests.support.recording_sink import RecordingSink

CLIENT = Caller("client", "session")
NOTEBOOK = CLIENT._replace(notebook="analysis-0677")


async def contexts() -> Contexts:
    """Contexts without a worker: none is needed before something runs."""

    def submit(request: Request) -> Any:
        raise AssertionError("nothing asks")

    return Contexts(Settings, submit, None)


def request_of(caller: Caller, **header: Any) -> Request:
    """A request with these fields in its header."""
    return Request(id="1", msg_type="execute_request", content={}, caller=caller, sink=RecordingSink(), header=header)


def test_a_request_means_the_context_that_its_subshell_names() -> None:
    async def body() -> None:
        made = await contexts()
        shells = made.shells(CLIENT)
        id = shells.create()
        assert made.of(request_of(CLIENT)) is made.of(request_of(CLIENT, subshell_id=None)) is made.shared
        beside = made.of(request_of(CLIENT, subshell_id=id))
        assert beside is not made.shared
        assert list(shells) == [made.shared, beside]
        with pytest.raises(NotFound, match="there is no subshell 'x'"):
            made.of(request_of(CLIENT, subshell_id="x"))
        with pytest.raises(InvalidRequest):
            made.of(request_of(CLIENT, subshell_id=7))

    asyncio.run(body())


def test_what_a_script_asks_means_the_context_of_the_request_that_it_runs_for() -> None:
    async def body() -> None:
        made = await contexts()
        id = made.shells(CLIENT).create()
        root = request_of(CLIENT, subshell_id=id)
        child = request_of(CLIENT)
        child.parent = root
        assert made.of(child) is made.of(root)

    asyncio.run(body())


def test_a_notebook_that_is_not_open_is_not_found() -> None:
    async def body() -> None:
        with pytest.raises(NotFound, match="notebook 'analysis-0677' has ended"):
            (await contexts()).of(request_of(NOTEBOOK))

    asyncio.run(body())


def test_there_are_so_many_subshells_and_no_more() -> None:
    async def body() -> None:
        shells = (await contexts()).shells(CLIENT)
        ids = [shells.create() for _ in range(MOST_SUBSHELLS)]
        assert list(shells.subshells) == ids
        with pytest.raises(Busy, match=f"there are {MOST_SUBSHELLS} subshells already"):
            shells.create()
        shells.delete(ids[0])
        assert shells.create() not in ids

    asyncio.run(body())


def test_models_are_remembered_by_who_has_used_them_until_that_has_ended() -> None:
    users = ModelUsers()
    users.uses("worker", "candle", "small")
    users.uses("client", "ollama", "large")
    users.uses("client", "candle", "small")
    assert users.of({"worker"}) == [("candle", "small")]
    assert users.of({"worker", "client"}) == [("candle", "small"), ("ollama", "large")]
    users.forget("client")
    assert users.of({"client"}) == []

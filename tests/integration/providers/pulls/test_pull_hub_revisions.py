"""Revisions of a repository: what a pull of a branch, a tag or a commit installs and takes again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from llmspell_protocol.errors import (
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
)
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.gguf_files import gguf_file
from tests.support.hub_contents import COMMIT
from tests.support.hub_server import HubServer
from tests.support.pulling import MODEL, SHA256, SIZE, begun, fails, leftovers, pull

OTHER_COMMIT = "f" * 40


class TestRevisions:
    """Branches, tags and commits of a repository."""

    @pytest.fixture(autouse=True)
    def other(self, server: HubServer) -> bytes:
        data = gguf_file(SIZE)
        server.repositories["org/repo@v2"] = {"tiny.Q4_K_M.gguf": data}
        server.commits["org/repo@v2"] = OTHER_COMMIT
        return data

    @pytest.mark.parametrize("revision", ["v2", OTHER_COMMIT])
    @pytest.mark.parametrize("name", ["hf.co/org/repo@{}:Q4_K_M", "hf.co/org/repo@{}", "hf://org/repo@{}"])
    def test_one_can_be_named_and_its_commit_is_recorded(
        self, name: str, revision: str, other: bytes, puller_of: Callable[..., Puller], store: Store
    ) -> None:
        result = asyncio.run(pull(puller_of(), name.format(revision))).result

        assert result.model_id == "org/repo:Q4_K_M"
        assert result.sha256 == hashlib.sha256(other).hexdigest()
        (manifest,) = store.list()
        assert manifest.source == f"hf://org/repo@{OTHER_COMMIT}/tiny.Q4_K_M.gguf"
        again = asyncio.run(pull(puller_of(), name.format(revision))).result
        assert again.download_status == "already_present"

    def test_a_file_of_one_can_be_named_twice(self, puller_of: Callable[..., Puller]) -> None:
        name = "hf://org/repo@v2/tiny.Q4_K_M.gguf"
        assert asyncio.run(pull(puller_of(), name)).result.download_status == "complete"
        assert asyncio.run(pull(puller_of(), name)).result.download_status == "already_present"

    def test_another_one_than_is_installed_is_told_and_taken_only_when_forced(
        self, other: bytes, puller_of: Callable[..., Puller]
    ) -> None:
        asyncio.run(pull(puller_of(), "hf.co/org/repo"))

        error = asyncio.run(fails(puller_of(), "hf.co/org/repo@v2", InvalidRequest))
        assert COMMIT in error.message
        assert OTHER_COMMIT in error.message
        forced = asyncio.run(pull(puller_of(), "hf.co/org/repo@v2", force=True)).result
        assert forced.sha256 == hashlib.sha256(other).hexdigest()

    def test_a_branch_that_moved_gives_the_new_file_and_no_byte_of_the_old_one(
        self, other: bytes, puller_of: Callable[..., Puller], store: Store, server: HubServer
    ) -> None:
        manner = server.manner("tiny.Q4_K_M.gguf")
        manner.hold_at = SIZE // 2

        async def broken_off() -> None:
            await (await begun(puller_of(), "hf.co/org/repo", SIZE // 2)).aclose()

        asyncio.run(broken_off())
        manner.release.set()
        server.repositories["org/repo"] = {"tiny.Q4_K_M.gguf": other}
        server.commits["org/repo"] = "e" * 40

        result = asyncio.run(pull(puller_of(), "hf.co/org/repo")).result

        assert (result.sha256, result.resumed_from) == (hashlib.sha256(other).hexdigest(), 0)
        assert server.range_requests("tiny.Q4_K_M.gguf") == []
        server.repositories["org/repo"] = {"tiny.Q4_K_M.gguf": MODEL}
        forced = asyncio.run(pull(puller_of(), "hf.co/org/repo", force=True)).result
        assert forced.sha256 == SHA256
        assert leftovers(store) == []

    def test_one_that_does_not_exist_is_not_found(self, puller_of: Callable[..., Puller]) -> None:
        error: LlmspellError = asyncio.run(fails(puller_of(), "hf.co/org/repo@nosuch", ModelNotFound))
        assert "org/repo@nosuch: no such revision" in error.message
        assert error.hint == "name a branch, a tag or a commit"

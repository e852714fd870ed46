"""What agents keep and are: conversations on disk by name and key, shared values, tools of others; within limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.identity import CONNECTION_KEY
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.as_tools import MAX_PER_OWNER
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.saved import SavedConversations
from llmspell_kernel.services.agents.shared_data import DEEPEST, MOST, SharedData
from llmspell_kernel.services.graph import Services
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.areas.agent import AgentCreate
from llmspell_protocol.areas.agent_contexts import ContextCreate
from llmspell_protocol.errors import Busy, ConfigError, InvalidRequest
from llmspell_protocol.models import ChatMessage


def said(text: str) -> Conversation:
    return Conversation([ChatMessage(role="user", content=text)])


def test_each_key_has_conversations_of_its_own(tmp_path: Path) -> None:
    saved = SavedConversations(tmp_path)
    saved.save("ada", said("secret"), key_id=CONNECTION_KEY)
    assert saved.load("ada", key_id="guest") is None
    assert saved.discard("ada", key_id="guest") is False
    saved.save("ada", said("other"), key_id="guest")
    loaded = [saved.load("ada", key_id=key) for key in (CONNECTION_KEY, "guest")]
    assert [one and one.messages[0].content for one in loaded] == ["secret", "other"]


def test_half_a_character_is_kept_as_it_is(tmp_path: Path) -> None:
    saved = SavedConversations(tmp_path)
    saved.save("\ud800", said("\udc00 é"), key_id=CONNECTION_KEY)
    loaded = saved.load("\ud800", key_id=CONNECTION_KEY)
    assert loaded is not None
    assert loaded.messages[0].content == "\udc00 é"


def test_a_file_that_can_not_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    saved = SavedConversations(tmp_path)
    saved.save("ada", said("first"), key_id=CONNECTION_KEY)
    [file] = (tmp_path / "agents").iterdir()
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="the conversation of agent 'ada' can't be saved") as caught:
        saved.save("ada", said("second"), key_id=CONNECTION_KEY)
    assert caught.value.details["file"] == str(file)
    assert list((tmp_path / "agents").iterdir()) == [file]


def test_contexts_inherit_from_each_other_to_a_depth_that_can_be_followed() -> None:
    shared = SharedData()
    context = shared.create(ContextCreate(data={"tone": "kind"}), "owner")
    for _ in range(DEEPEST - 1):
        context = shared.create(ContextCreate(parent=context, inheritance="inherit"), "owner")
    assert shared.get(context, "tone", "owner") == "kind"
    with pytest.raises(InvalidRequest, match="inherit from each other"):
        shared.create(ContextCreate(parent=context, inheritance="inherit"), "owner")
    assert shared.create(ContextCreate(parent=context, inheritance="copy"), "owner")


def test_a_context_has_so_many_values() -> None:
    shared = SharedData()
    context = shared.create(ContextCreate(data={str(number): number for number in range(MOST)}), "owner")
    shared.set(context, "0", "changed", "owner")
    with pytest.raises(Busy, match="has 10000 values already"):
        shared.set(context, "more", 1, "owner")


def test_an_owner_has_so_many_agents_as_tools_and_deleted_ones_do_not_count(tmp_path: Path) -> None:
    services = Services(Settings, tmp_path, {}, lambda request: pytest.fail("nothing is asked for"))
    first = services.agents.create(AgentCreate(name="ada", type="basic"), owner="owner")
    second = services.agents.create(AgentCreate(name="eve", type="basic"), owner="owner")

    def wrap(agent: Agent, name: str) -> str:
        return services.agent_tools.wrap(agent, name=name, description=None, category="utility", level="safe")

    for number in range(MAX_PER_OWNER):
        wrap(first, str(number))
    assert wrap(second, "0") == "0"
    with pytest.raises(InvalidRequest, match="1000 agents as tools already"):
        wrap(second, "more")
    services.agents.delete(first)
    assert wrap(second, "more") == "more"

"""The Python client's pieces without a kernel: contents, results, and whether bars are shown."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import llmspell
from llmspell.progress import Bar, Following, chosen, in_notebook, step_of
from llmspell.requests import Asked, Sampling, chat_content, generate_content, script_options, script_source
from llmspell.results import decoded, result_of
from llmspell_protocol.areas.action import Action
from llmspell_protocol.areas.model import ACTIONS, EngineHealth, ModelPsReply, ModelStatusReply, PullStep
from llmspell_protocol.areas.rag import ACTIONS as RAG_ACTIONS
from llmspell_protocol.areas.rag import RagProgress
from llmspell_protocol.areas.stream import LoadingStep, PrefillStep
from llmspell_protocol.areas.tool import ToolProgress
from llmspell_protocol.client.events import Reply
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions, Timings, Usage
from tests.support.snippets import ROOT


def test_every_option_of_the_protocol_is_an_argument() -> None:
    ours, theirs = get_type_hints(Sampling), get_type_hints(SamplingOptions)
    assert ours == theirs
    beside = {one.name for one in fields(ChatRequest)} - {"messages", "prompt", "raw", "options", "stream"}
    assert set(get_type_hints(Asked)) == {*theirs, *beside, "system", "timeout_s"}


def test_a_question_becomes_a_conversation_and_words_become_options() -> None:
    content = chat_content(
        "hi", {"model": "m", "system": "Be brief.", "temperature": 0.0, "seed": None, "think": False}
    )
    assert content == {
        "action": "chat",
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "options": {"temperature": 0.0},
        "think": False,
    }
    said = ChatMessage(role="user", content="look", images=[b"png"])
    (message,) = chat_content([said], {})["messages"]
    assert (message["role"], message["images"]) == ("user", [b"png"])
    assert chat_content("hi", {"schema": "age int"})["schema"]["properties"] == {"age": {"type": "integer"}}
    with pytest.raises(InvalidRequest, match="no system prompt"):
        generate_content("x", False, {"system": "y"})


def test_a_script_s_paths_are_whole_where_the_kernel_is_on_this_machine(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"args": [1], "name": None, "path": "/x.lua", "model": None, "asks": True}
    local = script_options(**asked, allow={"read": ["a", "*"], "net": ["example.org"]}, local=True)
    assert local.allow == {"read": [str(Path.cwd() / "a"), "*"], "net": ["example.org"]}
    assert (local.args, local.path, local.cwd, local.interactive) == (["1"], "/x.lua", str(Path.cwd()), True)
    away = script_options(**asked, allow=None, local=False)
    assert (away.path, away.cwd, away.allow) == (None, None, None)
    (tmp_path / "latin.lua").write_bytes(b"print('\xe4')")
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        script_source(tmp_path / "latin.lua")


def test_a_reply_becomes_its_class_and_those_inside_of_it() -> None:
    made = ChatResult(
        message=ChatMessage(role="assistant", content="yes"),
        finish_reason="stop",
        usage=Usage(prompt_tokens=3),
        timings=Timings(tokens_per_second=1.5),
        model="m",
        backend="b",
        evicted=("x",),
    )
    content = json.loads(json.dumps(to_content(made)))
    assert result_of(ChatResult, Reply({**content, "status": "ok", "seq": 3, "of_a_newer_kernel": 1})) == made


def test_what_an_older_kernel_does_not_say_is_absent() -> None:
    reply = decoded(ModelPsReply, {"models": [{"model": "m", "backend": "candle"}], "used_bytes": 3})
    assert (reply.used_bytes, reply.budget_bytes, reply.models[0].pinned) == (3, None, None)


def test_of_several_classes_the_one_is_taken_whose_fields_are_there() -> None:
    health = {"configured": True, "ready": True, "loaded": [], "device": "cpu", "engines": ["x"]}
    reply = decoded(ModelStatusReply, {"backends": {"candle": health}})
    assert isinstance(reply.backends["candle"], EngineHealth)


@pytest.mark.parametrize("action", [*ACTIONS.values(), *RAG_ACTIONS.values()], ids=[*ACTIONS, *RAG_ACTIONS])
def test_every_reply_of_the_protocol_can_be_read(action: Action) -> None:
    decoded(action.reply, {})


def test_a_step_is_told_by_its_phase() -> None:
    assert isinstance(step_of({"phase": "loading"}), LoadingStep)
    assert isinstance(step_of({"phase": "prefill", "processed": 1, "total": 2}), PrefillStep)
    assert isinstance(step_of({"phase": "downloading", "bytes_downloaded": 1}), PullStep)
    assert isinstance(step_of({"message": "half", "figures": {}}), ToolProgress)
    assert isinstance(step_of({"stage": "reading", "documents_done": 1, "documents": 2}), RagProgress)


def test_a_program_without_a_terminal_is_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert chosen("auto") is None
    assert chosen(None) is None
    assert chosen(Bar) is Bar
    assert not in_notebook()


def test_a_bar_counts_bytes_and_tokens_and_is_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    with Following(Bar, "smollm2") as following:
        following.show({"phase": "loading", "notice": None})
        following.show({"phase": "downloading", "bytes_downloaded": 5_000_000, "bytes_total": 10_000_000})
        following.show({"phase": "downloading", "bytes_downloaded": 10_000_000, "bytes_total": 10_000_000})
        following.show({"phase": "prefill", "processed": 3, "total": 7})
        following.show({"message": "asking", "figures": {}})
        following.close()
        following.close()
    said = capsys.readouterr().err
    assert "smollm2: loading" in said
    assert "5.00M/10.0M" in said
    assert "3/7" in said
    assert "smollm2: asking" in said
    assert said.endswith("\r")


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "python-package.md").read_text(encoding="utf-8")
    public = [name for name in llmspell.__all__ if not name.startswith("__")]
    assert [name for name in public if not re.search(rf"llmspell\.{name}\b", page)] == []

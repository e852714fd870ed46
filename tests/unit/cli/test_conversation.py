"""A conversation's file: what is written, by whom it can be read, and what is refused."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_cli.chat.conversation import Conversation, stats_line
from llmspell_cli.endings import Interrupted
from llmspell_protocol.client.events import Reply
from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, NotFound

MESSAGES = [{"role": "user", "content": "hi 👋"}, {"role": "assistant", "content": "there"}]


def test_a_conversation_comes_back_and_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = Conversation("mock/a", system="be short", sampling={"temperature": 0.5})
    said.messages = list(MESSAGES)
    said.save("~/chat.json")
    assert stat.S_IMODE((tmp_path / "chat.json").stat().st_mode) == 0o600
    again = Conversation(None)
    again.load("~/chat.json")
    assert (again.model, again.system, again.sampling) == ("mock/a", "be short", {"temperature": 0.5})
    assert again.messages == MESSAGES


def test_half_a_sign_does_not_stop_the_writing(tmp_path: Path) -> None:
    said = Conversation("mock/a")
    said.messages = [{"role": "user", "content": "a\ud800b"}]
    said.save(str(tmp_path / "chat.json"))
    assert json.loads((tmp_path / "chat.json").read_text())["messages"][0]["content"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", "nan"), ("temperature", "2.1"), ("top_p", "1.1"), ("top_k", "-1"), ("min_p", "-0.1")),
        *(("repeat_penalty", "0"), ("seed", "4294967295"), ("max_tokens", "2147483648"), ("max_tokens", "9" * 5000)),
        *(("num_beams", "0"), ("seed", "1.5"), ("top_k", "many")),
    ],
)
def test_a_value_that_no_reply_could_be_made_with_is_refused_when_it_is_set(name: str, value: str) -> None:
    said = Conversation("mock/a", sampling={"temperature": 0.5})
    with pytest.raises(InvalidRequest, match=rf"^{name} (must be|is a (whole )?number)"):
        said.set(name, value)
    assert said.sampling == {"temperature": 0.5}


def test_ends_of_ranges_can_be_set() -> None:
    said = Conversation("mock/a")
    for name, value in {"seed": "4294967294", "max_tokens": "2147483647", "top_p": "1", "temperature": "2"}.items():
        said.set(name, value)
    assert said.sampling == {"seed": 4294967294, "max_tokens": 2147483647, "top_p": 1.0, "temperature": 2.0}


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "{}", "[" * 100_000, '{"messages": [{"role": "system", "content": "x"}]}', '{"messages": [1]}'),
        *(
            '{"messages": [], "options": [1]}',
            '{"messages": [], "model": 1}',
            '{"messages": [], "system": 1}',
            '{"messages": [], "x": NaN}',
        ),
    ],
)
def test_a_file_that_is_no_conversation_is_refused_and_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    kept = Conversation("mock/a", system="be")
    with pytest.raises(InvalidRequest, match=r"x\.json is not a saved conversation"):
        kept.load(str(file))
    assert (kept.model, kept.system, kept.messages) == ("mock/a", "be", [])
    with pytest.raises(NotFound):
        kept.load(str(tmp_path / "nosuch.json"))


@pytest.mark.parametrize(
    ("drafted", "words"),
    [
        (None, "prompt 24 tokens (0 cached), reply 40 tokens, 71.2 tokens/s"),
        (0, "prompt 24 tokens (0 cached), reply 40 tokens, 71.2 tokens/s"),
        (36, "prompt 24 tokens (0 cached), reply 40 tokens, 71.2 tokens/s, 30 of 36 drafted tokens accepted"),
    ],
)
def test_the_figures_of_a_reply_tell_of_drafts_where_there_were_some(drafted: int | None, words: str) -> None:
    timings = {"tokens_per_second": 71.2, "draft_tokens": drafted, "accepted_tokens": 30 if drafted else drafted}
    usage = {"prompt_tokens": 24, "cached_tokens": 0, "completion_tokens": 40}
    assert stats_line({"usage": usage, "timings": timings, "finish_reason": "stop"}) == words


class Model:
    """Answers requests as they are listed: with a text, or pieces of one and then an error."""

    def __init__(self, *answers: str | tuple[str, Exception]) -> None:
        self._answers = list(answers)
        self.asked: list[list[tuple[str, str]]] = []

    def ask(self, _kind: str, content: Mapping[str, Any], *, on_delta: Any, **_settings: object) -> Reply:
        """What a session does."""
        self.asked.append([(message["role"], message["content"]) for message in content["messages"]])
        answer = self._answers.pop(0)
        if isinstance(answer, tuple):
            if answer[0]:
                on_delta({"text": answer[0]})
            raise answer[1]
        return Reply({"message": {"role": "assistant", "content": answer}}, [])


def turn(said: Conversation, model: Model, text: str | None) -> None:
    """A turn, or a retry; its failure is the test's own."""
    opened: Any = model
    try:
        said.turn(opened, text) if text is not None else said.retry(opened)
    except (Interrupted, ContextLengthExceeded):
        pass


FAILED = ContextLengthExceeded("too long")
CANCELLED = Interrupted("Cancelled")


def test_a_message_without_a_reply_stays_and_the_model_is_not_sent_it() -> None:
    for why in (FAILED, CANCELLED):
        said, model = Conversation("m"), Model("A", ("", why), "C")
        for text in ("a", "b", "c"):
            turn(said, model, text)
        assert [message["content"] for message in said.messages] == ["a", "A", "b", "c", "C"]
        assert said.unanswered == 1
        assert model.asked[2] == [("user", "a"), ("assistant", "A"), ("user", "c")]


def test_retry_answers_what_was_typed_last_whatever_became_of_it() -> None:
    said, model = Conversation("m"), Model("A", ("", CANCELLED), "B", "B2", ("half", FAILED), "B3")
    turn(said, model, "a")
    turn(said, model, "b")
    for _ in range(4):
        turn(said, model, None)
    assert all(asked[-1] == ("user", "b") for asked in model.asked[1:])
    assert [message["content"] for message in said.messages] == ["a", "A", "b", "B3"]
    assert said.unanswered == 0


def test_a_retry_of_which_nothing_comes_leaves_the_reply_that_was_there() -> None:
    said, model = Conversation("m"), Model("A", ("", CANCELLED), (" \n", FAILED))
    turn(said, model, "a")
    turn(said, model, None)
    turn(said, model, None)
    assert [message["content"] for message in said.messages] == ["a", "A"]


def test_what_has_come_of_a_reply_stays() -> None:
    said, model = Conversation("m"), Model(("half of", CANCELLED), ("some", FAILED))
    turn(said, model, "a")
    turn(said, model, "b")
    assert [message["content"] for message in said.messages] == ["a", "half of", "b", "some"]
    assert said.unanswered == 0


def test_messages_without_a_reply_are_saved_and_come_back(tmp_path: Path) -> None:
    said = Conversation("m")
    turn(said, Model(("", FAILED)), "a")
    said.save(str(tmp_path / "chat.json"))
    again = Conversation("m")
    again.load(str(tmp_path / "chat.json"))
    assert again.unanswered == 1
    assert (again.undo() or {})["content"] == "a"


def test_options_are_shown_and_unset_and_misspelt_ones_told() -> None:
    said = Conversation("m")
    said.set("stop", "END")
    said.set("top_k", "3")
    assert (said.option("stop"), said.option("top_k"), said.option("seed")) == ("END", "3", "-")
    said.unset("top_k")
    assert said.sampling == {"stop": ["END"]}
    for act in (said.option, said.unset, lambda name: said.set(name, "1")):
        with pytest.raises(InvalidRequest) as caught:
            act("temprature")
        assert caught.value.hint == "did you mean 'temperature'?"

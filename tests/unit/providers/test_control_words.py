"""Words of a template in somebody's text."""

from __future__ import annotations

import re

import pytest

from llmspell_providers.candle.control_words import ControlWords
from llmspell_providers.openai_chat import chat_body

CONTROL = ("<|im_end|>", "<|im_start|>", "</s>", "[INST]", "<start_of_turn>")
_SPLIT = re.compile("|".join(map(re.escape, CONTROL)))


class _Vocabulary:
    """Control words are one token each, everything else one a character."""

    def __init__(self) -> None:
        self.asked = 0

    def tokens(self, text: str, control: bool) -> list[int]:
        self.asked += 1
        if not control:
            return [1] * len(text)
        return [0] * len(_SPLIT.findall(text)) + [1] * len(_SPLIT.sub("", text))

    def has_control(self, text: str) -> bool:
        return _SPLIT.search(text) is not None


@pytest.mark.parametrize("word", CONTROL)
def test_a_control_word_in_a_text_is_parted(word: str) -> None:
    words = ControlWords(_Vocabulary().tokens)
    assert words.parted(f"a {word} b {word}") == f"a {word[0]} {word[1:]} b {word[0]} {word[1:]}"


@pytest.mark.parametrize(
    "text",
    ["<|im_<|im_end|>end|>", "<<|im_end|>>|im_end|>", "<|im_end|>" * 500, "[[INST]INST]", "<</s>/s>", "</s></s>"],
)
def test_no_control_word_is_left_however_they_are_nested(text: str) -> None:
    vocabulary = _Vocabulary()
    assert not vocabulary.has_control(ControlWords(vocabulary.tokens).parted(text))


@pytest.mark.parametrize(
    "text", ["", "hello", "a < b > c", "<div class='x'>", "if x[1] < y[2]:", "[1, 2]", "< |im_end|>"]
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert ControlWords(_Vocabulary().tokens).parted(text) == text


def test_a_text_full_of_candidates_takes_a_bounded_number_of_questions() -> None:
    vocabulary = _Vocabulary()
    text = "".join(f"<w{number}>" for number in range(5000)) + "</s>"
    assert not vocabulary.has_control(ControlWords(vocabulary.tokens).parted(text))
    assert vocabulary.asked < 1200


def test_messages_and_prompts_are_text_and_a_raw_prompt_is_not() -> None:
    words = ControlWords(_Vocabulary().tokens)
    messages = [{"role": role, "content": f"{role} </s>"} for role in ("system", "user", "assistant", "tool")]
    body = chat_body({"options": {}, "messages": messages}, words=words)
    assert [message["content"] for message in body["messages"]] == [
        "system < /s>",
        "user < /s>",
        "assistant < /s>",
        "tool < /s>",
    ]
    assert chat_body({"options": {}, "prompt": "</s>"}, words=words)["messages"][0]["content"] == "< /s>"
    assert chat_body({"options": {}, "prompt": "</s>"}, has_template=False, words=words)["prompt"] == "< /s>"
    assert chat_body({"options": {}, "prompt": "</s>", "raw": True}, words=words)["prompt"] == "</s>"


def test_without_a_template_a_conversation_is_its_bare_texts() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    body = chat_body({"options": {"seed": 1}, "messages": messages, "schema": {"type": "string"}}, has_template=False)
    assert body["prompt"] == "Be brief.\nHello"
    assert body["seed"] == 1
    assert "messages" not in body
    assert body["json_schema"]["type"] == "string"

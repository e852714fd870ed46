"""What the guide of scripts promises about models: asked with the small one, within the command and on a kernel."""

from __future__ import annotations

import pytest

from tests.support.reader import Reader

REPEATED = (
    'for _ = 1, 2 do print(Agent.create{model = "smollm2:135m@candle", temperature = 0, max_tokens = 12}'
    ':complete("Tell me about Paris.")) end '
    'print(LocalLLM.chat{model = "smollm2:135m@candle", temperature = 0, max_tokens = 12, '
    'prompt = "Tell me about Paris."}.text)'
)


@pytest.mark.parametrize("connected", [False, True], ids=["embedded", "connected"])
def test_temperature_0_repeats_over_agents_chats_and_runs(connected: bool, neighbour: Reader) -> None:
    where = "" if connected else "--embedded "
    runs = [neighbour.runs(f"llmspell {where}exec '{REPEATED}' 2>/dev/null") for _ in range(2)]
    assert {done.status for done in runs} == {0}
    answers = "".join(done.out for done in runs).splitlines()
    assert len(answers) == 6
    assert len(set(answers)) == 1


def test_an_answer_that_was_cut_says_so(neighbour: Reader) -> None:
    request = '{model = "smollm2:135m@candle", prompt = "Tell me a story.", max_tokens = 3}'
    told = neighbour.runs(
        f"llmspell exec 'local a = LocalLLM.chat{request} print(a.finish_reason, a.truncated)' 2>/dev/null"
    )
    assert told.out == "length\ttrue\n"


def test_an_embedding_has_the_models_dimensions(neighbour: Reader) -> None:
    code = 'local v, info = LocalLLM.embed({"a", "b"}, "smollm2:135m") print(#v, #v[2], info.dimensions)'
    assert neighbour.runs(f"llmspell exec '{code}'").out == "2\t576\t576\n"

"""The scripts in `examples/`, run as their first lines say, with a kernel within and with one elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ollama_replay import OllamaReplay
from tests.support.reader import Reader, reader
from tests.support.snippets import ROOT

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.lua"))
OF_THE_REQUIREMENTS = {"local_chat.lua", "ollama_chat.lua", "candle_inference.lua", "backend_comparison.lua"}


@pytest.fixture(scope="module", params=["embedded", "connected"])
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path, neighbour: Reader
) -> Iterator[Reader]:
    """Where the examples are tried: beside a kernel that runs, or without one."""
    with reader(tmp_path_factory.mktemp("examples"), models) as one:
        if request.param == "connected":
            one.joins(neighbour)
        yield one


def test_the_examples_are_all_tried_here() -> None:
    tried = {
        name.removeprefix("test_").removesuffix("_works") + ".lua" for name in globals() if name.endswith("_works")
    }
    assert tried == set(EXAMPLES)
    assert set(EXAMPLES) >= OF_THE_REQUIREMENTS


def test_chat_works(shell: Reader) -> None:
    done = shell.runs('llmspell run examples/chat.lua -- "Say hello in French."')
    assert done.status == 0
    assert len(done.out.split()) > 1


def test_local_chat_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/local_chat.lua -- --max-tokens 20", "My name is Ada.\nWhat is my name?\n")
    assert done.status == 0
    assert done.out.startswith("Talking to smollm2:135m. An empty line ends it.\n> ")
    assert done.out.count("\n> ") == 3


def test_candle_inference_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/candle_inference.lua")
    assert done.status == 0
    assert "smollm2:135m on cpu by xllamacpp: " in done.out
    assert "\nWhat is the capital of France?\n" in done.out
    assert done.out.count(" tokens in ") == 2


def test_backend_comparison_works(shell: Reader) -> None:
    done = shell.runs('llmspell run examples/backend_comparison.lua -- "Name three colours."')
    assert done.status == 0
    assert "candle   smollm2:135m: " in done.out
    assert "ollama   not used: connection refused" in done.out


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_ollama_chat_works(mode: str, tmp_path: Path, models: Path) -> None:
    recordings = ("003-version", "033-tags-two", "038-show", "050-ps-one", "064-chat-stream", "067-chat-nonstream")
    with OllamaReplay(*recordings) as server, reader(tmp_path, models) as one:
        one.runs(f"export OLLAMA_HOST={server.base_url}")
        if mode == "connected":
            one.runs("llmspell kernel start --daemon --port 0")
        done = one.runs("llmspell run examples/ollama_chat.lua -- Hi")
        assert done.status == 0, done.out
        assert " tokens)\n" in done.out
        both = one.runs('llmspell run examples/backend_comparison.lua -- "Name three colours."')
        assert both.status == 0
        assert "candle   smollm2:135m: " in both.out
        assert "ollama   smollm2:copy: " in both.out


def test_ollama_chat_says_what_is_missing(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/ollama_chat.lua")
    assert done.status == 1
    assert "Ollama isn't running (connection refused). Start it with: ollama serve" in done.out


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_session_works(mode: str, tmp_path: Path, models: Path) -> None:
    with reader(tmp_path, models) as one:
        one.runs("export LLMSPELL_SESSIONS_ENABLED=true")
        if mode == "connected":
            one.runs("llmspell kernel start --daemon --port 0")
        done = one.runs('llmspell run examples/session.lua -- "Name a colour."')
        assert done.status == 0, done.out
        assert "Question: Name a colour.\nAnswer:   " in done.out
        assert "Kept as artifact 1, sha256 " in done.out
        assert "Read again: true" in done.out
        assert "Replayed step 1 (model chat): same" in done.out


def test_extract_works(shell: Reader) -> None:
    text = "Ada Lovelace was born in London in 1815."
    done = shell.runs("llmspell run --json examples/extract.lua", text, apart=True)
    assert done.status == 0
    assert set(json.loads(done.out)["result"]) == {"name", "place", "year"}


def test_batch_works(shell: Reader) -> None:
    done = shell.runs(
        'llmspell run examples/batch.lua -- --prompt "Translate to French:" --max-tokens 5', "dog\n\ncat\n", apart=True
    )
    assert done.status == 0
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["input"] for row in rows] == ["dog", "cat"]
    assert all(row["output"] for row in rows)


def test_order_events_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/order_events.lua")
    assert done.status == 0
    *orders, last = done.out.splitlines()
    assert orders[:2] == ["order.placed  order 1  25.00", "order.paid  order 1  25.00"]
    assert len(orders) == 6
    assert last == "99.50 paid; the calculator was called 3 times"


def test_tool_hooks_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/tool_hooks.lua", apart=True)
    assert done.status == 0
    assert done.out.splitlines() == [
        "3,5 * 2 =\t7",
        "nothing =\tno number",
        "Operation cancelled by hook: this script runs no programs",
        "calls of the calculator:\t2",
    ]


def test_fallback_works(shell: Reader) -> None:
    done = shell.runs('llmspell run examples/fallback.lua -- "Say hello." --models llama3.2@ollama,smollm2:135m@candle')
    assert done.status == 0
    assert done.out.startswith("llama3.2@ollama: ")


def test_commit_message_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/commit_message.lua", "-  return a - b\n+  return a + b\n", apart=True)
    assert done.status == 0
    assert len(done.out.splitlines()) == 1
    assert "no change on standard input" in shell.runs("llmspell run examples/commit_message.lua").out


def test_summarize_works(shell: Reader) -> None:
    shell.runs("for n in 1 2 3; do echo 'The launch is on 3 May. Ada writes the text.'; done > report.txt")
    done = shell.runs("llmspell run examples/summarize.lua -- report.txt --part 60", apart=True)
    assert done.status == 0, done.err
    assert "part 3 of 3" in done.err
    assert done.out.strip()
    piped = shell.runs("llmspell run examples/summarize.lua", "The launch is on 3 May.", apart=True)
    assert piped.status == 0
    assert piped.out.strip()


def test_search_works(shell: Reader) -> None:
    shell.runs("printf 'The car is fast.\nApples are sweet.\nRain falls.\nBread is baked.\n' > lines.txt")
    done = shell.runs("llmspell run examples/search.lua -- 'Apples are sweet.' lines.txt", apart=True)
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 3
    assert done.out.startswith("1.000  Apples are sweet.")


def test_calculate_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/calculate.lua", "2 + 3\n\nsqrt(2) * 10\n1 / 0\n", apart=True)
    assert done.status == 1
    assert done.out == "2 + 3 = 5\nsqrt(2) * 10 = 14.142135623730951\n"
    assert "1 / 0: division by zero\n" in done.err
    assert shell.runs("llmspell run examples/calculate.lua", "").status == 0


def test_own_tool_works(shell: Reader) -> None:
    done = shell.runs('llmspell run examples/own_tool.lua -- "The launch is on 3 May."', apart=True)
    assert (done.status, done.out) == (0, "6 words, 2 of them long, 3.0 characters each\n")
    assert "longer_than (number): count only longer words\n" in done.err


def test_agent_calculator_works(shell: Reader) -> None:
    run = "llmspell run examples/agent_calculator.lua -- --model mock/m "
    done = shell.runs(run + """'call calculator {"input": "2 + 3"}'""", apart=True)
    assert (done.status, done.out, done.err.splitlines()[-1]) == (0, "[mock/m] 5\n", "  2 + 3 = 5")
    failed = shell.runs(run + """'call calculator {"input": "1 / 0"}'""", apart=True)
    assert failed.status == 0
    assert "  1 / 0 = 1 / 0: division by zero\n" in failed.err
    calls = "'" + 'call calculator {"input": "1"}\n' * 11 + "'"
    ended = shell.runs(run + calls, apart=True)
    assert (ended.status, ended.err.splitlines()[-1]) == (1, "ended by max_tool_calls")


def test_agent_list_works(shell: Reader) -> None:
    run = "llmspell run examples/agent_list.lua -- --model mock/m --save"
    lines = 'call add-item {"item": "milk", "count": 3}\ncall remove-item {"item": "milk", "count": 1}\n\nnot read\n'
    done = shell.runs(run, lines)
    assert (done.status, done.out.splitlines()[-1]) == (0, "To buy: 2 milk")
    later = shell.runs(run, 'call add-item {"item": "eggs", "count": 6}\n')
    assert later.out.splitlines()[-1] == "To buy: 2 milk, 6 eggs"
    assert shell.runs(run.removesuffix(" --save"), "").out == "To buy: nothing\n"


def test_agent_team_works(shell: Reader) -> None:
    run = "llmspell run examples/agent_team.lua -- --model mock/m "
    done = shell.runs(run + """'call shorten {"text": "A long text."}'""", apart=True)
    assert (done.status, done.out) == (0, "[mock/m] [mock/m] A long text.\n")
    assert "[mock/m] A long text.\n" in done.err


def test_try_tools_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/try_tools.lua")
    assert done.status == 0, done.out
    assert re.search(r"^calculator +works: ", done.out, re.MULTILINE)
    of_one = shell.runs("llmspell run examples/try_tools.lua -- --category utility")
    assert "calculator" in of_one.out

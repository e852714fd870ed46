"""The scripts in `examples/`, run as their first lines say, with a kernel within and with one elsewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.example_lines import ExampleLines
from tests.support.ollama_replay import OllamaReplay
from tests.support.reader import Reader, reader
from tests.support.snippets import ROOT

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.lua"))
OF_THE_REQUIREMENTS = {"local_chat.lua", "ollama_chat.lua", "candle_inference.lua", "backend_comparison.lua"}


LINES: dict[str, ExampleLines] = {}
"""What has run of the examples, by mode."""


def watched(one: Reader, mode: str) -> Reader:
    """The reader, whose examples tell which of their lines run."""
    lines = ExampleLines(one.work / "examples")
    one.sees = LINES.setdefault(mode, lines).taken_out
    return one


@pytest.fixture(scope="module", params=["embedded", "connected"])
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path, neighbour: Reader
) -> Iterator[Reader]:
    """Where the examples are tried: beside a kernel that runs, or without one."""
    with reader(tmp_path_factory.mktemp("examples"), models) as one:
        if request.param == "connected":
            one.joins(neighbour)
        yield watched(one, request.param)


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


RECORDINGS = ("003-version", "033-tags-two", "038-show", "050-ps-one", "064-chat-stream", "067-chat-nonstream")


@contextmanager
def beside_ollama(server: OllamaReplay, mode: str, directory: Path, models: Path, *settings: str) -> Iterator[Reader]:
    """A reader whose Ollama this server is, and whose kernel is their own."""
    directory.mkdir()
    with reader(directory, models) as one:
        watched(one, mode)
        for each in (f"OLLAMA_HOST={server.base_url}", *settings):
            one.runs(f"export {each}")
        if mode == "connected":
            one.runs("llmspell kernel start --daemon --port 0")
        yield one


def test_ollama_chat_works(shell: Reader, request: pytest.FixtureRequest, tmp_path: Path, models: Path) -> None:
    mode = request.node.callspec.params["shell"]
    with OllamaReplay(*RECORDINGS) as server, beside_ollama(server, mode, tmp_path / "works", models) as one:
        done = one.runs("llmspell run examples/ollama_chat.lua -- Hi")
        assert done.status == 0, done.out
        assert " tokens)\n" in done.out
        both = one.runs('llmspell run examples/backend_comparison.lua -- "Name three colours."')
        assert both.status == 0
        assert "candle   smollm2:135m: " in both.out
        assert "ollama   smollm2:copy: " in both.out
    with OllamaReplay(*RECORDINGS[:-2]) as server, beside_ollama(server, mode, tmp_path / "fails", models) as one:
        failed = one.runs("llmspell run examples/backend_comparison.lua")
        assert failed.status == 0
        assert "ollama   smollm2:copy failed: " in failed.out


def test_examples_say_what_is_missing(shell: Reader, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    settings = ("LLMSPELL_TOOLS__RATE_LIMIT_PER_MINUTE=1", "LLMSPELL_TOOLS__PERMISSIONS__READ=/data")
    mode = request.node.callspec.params["shell"]
    with (
        OllamaReplay("003-version", "009-tags-empty") as server,
        beside_ollama(server, mode, tmp_path / "empty", tmp_path / "models", *settings) as one,
    ):
        assert "No model is installed. First: " in one.runs("llmspell run examples/local_chat.lua").out
        assert "Ollama has no model. First: " in one.runs("llmspell run examples/ollama_chat.lua").out
        tried = one.runs("llmspell run examples/try_tools.lua -- --category utility")
        assert tried.status == 1
        assert "FAILED: " in tried.out
        assert "always allowed: read /data\n" in one.runs("llmspell run examples/what_may_i.lua").out


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
        assert "Replayed step 1 (model chat): recorded" in done.out


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
    none = shell.runs("llmspell run examples/fallback.lua -- --models nosuch@candle,llama3.2@ollama")
    assert none.status == 1
    assert "none of the models answered" in none.out


def test_commit_message_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/commit_message.lua", "-  return a - b\n+  return a + b\n", apart=True)
    assert done.status == 0
    assert len(done.out.splitlines()) == 1
    assert "no change on standard input" in shell.runs("llmspell run examples/commit_message.lua").out
    cut = shell.runs("llmspell run examples/commit_message.lua -- --limit 10", "-  return a - b\n+  return a + b\n")
    assert "only the first 10 of 32 bytes are read\n" in cut.out


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


def test_remember_works(shell: Reader) -> None:
    shell.runs("export LLMSPELL_STATE_BACKEND=sqlite")
    first = shell.runs('llmspell run examples/remember.lua -- "water the plants"')
    second = shell.runs("llmspell run examples/remember.lua")
    assert (first.status, second.status) == (0, 0), second.out
    assert first.out == "run 1\n  water the plants (run 1)\n"
    assert second.out == "run 2\n  water the plants (run 1)\n"


def test_shared_state_works(shell: Reader) -> None:
    shell.runs("export LLMSPELL_STATE_BACKEND=sqlite")
    for visits in (1, 2):
        done = shell.runs("llmspell run examples/shared_state.lua")
        assert done.status == 0, done.out
        assert done.out == f"visits: {visits}\ntoken: s3cret\nprices: 100\ncleared: 0\nrestored: 100\n"


def test_workflow_report_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/workflow_report.lua")
    assert done.status == 0, done.out
    assert "warm\t21.5\n" in done.out
    assert "text: " in done.out


def test_workflow_parallel_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/workflow_parallel.lua")
    assert done.out == "digest ok, id ok, broken failed\n64\t1 / 0: division by zero\n"


def test_workflow_loop_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/workflow_loop.lua")
    assert done.out == "1.41 after 10 rounds (condition_false)\nthe last square: 2.002 of 10\n"


def test_workflow_triage_works(shell: Reader) -> None:
    done = shell.runs('llmspell run examples/workflow_triage.lua -- "the page is slow"')
    assert done.out == (
        "then\tqueued as performance\ngave back seat 12\npay\tStep 'pay' failed: 1 / 0: division by zero\n"
    )


def test_the_workflow_in_a_file_is_run(shell: Reader) -> None:
    given = '{"prices": [1, 20]}'
    done = shell.runs(f"llmspell workflow run examples/workflow.json --input '{given}'")
    assert done.out == "The last one is dear: 24\n"


ROWS = "printf 'name,town,age\nAda,London,36\nGrace,\"New York, NY\",85\n' > people.csv"


def test_json_fields_works(shell: Reader) -> None:
    lines = '{"level": "info", "user": {"name": "Ada"}}\nno json\n{"level": null, "user": 12345678901234567890}\n'
    deep = shell.runs("llmspell run examples/json_fields.lua -- a.b", '{"a": 5}')
    assert deep.out == "{}\n"
    done = shell.runs("llmspell run examples/json_fields.lua -- level user user.name", lines, apart=True)
    assert done.status == 0
    first, second = done.out.splitlines()
    assert json.loads(first) == {"level": "info", "user": {"name": "Ada"}, "user.name": "Ada"}
    assert second == '{"level":null,"user":12345678901234567890}'
    assert "line 2: JSON parse error: " in done.err
    tabs = shell.runs("llmspell run examples/json_fields.lua -- level user user.name --tabs", lines, apart=True)
    assert tabs.out == 'info\t{"name":"Ada"}\tAda\nnull\t12345678901234567890\t\n'
    assert "usage: " in shell.runs("llmspell run examples/json_fields.lua").out


def test_log_work_works(shell: Reader) -> None:
    shell.runs("printf 'hello' > hello.txt")
    done = shell.runs("llmspell run examples/log_work.lua -- hello.txt nosuch.txt")
    assert (done.status, done.out.splitlines()[-1]) == (1, "1 read, 1 not")
    logs = "\n".join(path.read_text() for path in (shell.home / "run").resolve().parent.glob("logs/*.log"))
    # Without a kernel that runs, or that answers in time, a command shows warnings itself.
    is_in_log = "file not read" in logs
    assert is_in_log or "file not read" in done.out
    assert ("file read" in logs) is is_in_log
    assert shell.runs("llmspell run examples/log_work.lua -- hello.txt --verbose").status == 0


def test_what_may_i_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/what_may_i.lua")
    assert done.status == 0
    assert "writes below its directory: no\n" in done.out
    assert "provider candle: " in done.out
    part = shell.runs("llmspell run examples/what_may_i.lua -- tools.file_operations", apart=True)
    assert json.loads(part.out)["enabled"] is True


def test_slow_parts_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/slow_parts.lua -- --rounds 100", apart=True)
    assert done.status == 0
    assert done.out.startswith("Performance report: 3 timers, 0 running\n")
    assert "figures:\n{ (table, 2 pairs)\n" in done.out
    assert "[slow_parts] 100 texts, " in done.err
    assert "nothing to see" not in done.err
    stacks = shell.runs("llmspell run examples/slow_parts.lua -- --rounds 100 --stacks", apart=True)
    assert re.fullmatch(r"everything \d+\neverything;make texts \d+\neverything;hash \d+\n", stacks.out)


def test_ask_cached_works(shell: Reader) -> None:
    run = "llmspell run --allow-write=answers.json examples/ask_cached.lua -- --model mock/m "
    assert shell.runs(run + "'A question'", apart=True).out == "[mock/m] A question\n"
    again = shell.runs(run + "'A question'", apart=True)
    assert again.out == "[mock/m] A question\n"
    assert again.err.startswith("from 20")
    failed = shell.runs(run.replace("mock/m", "nosuch@candle") + "--tries 2 'A question'", apart=True)
    assert failed.status == 1
    assert "try 1 of 2: " in failed.err
    assert "try 2 of 2: " in failed.err
    assert "usage: " in shell.runs("llmspell run examples/ask_cached.lua").out


def test_compare_json_works(shell: Reader) -> None:
    shell.runs("""printf '{"a": [1, 2], "b": "x"}' > one.json; printf '{"a": [1, 3], "b": "x"}' > two.json""")
    same = shell.runs("llmspell run examples/compare_json.lua -- one.json one.json")
    assert (same.status, same.out) == (0, "identical (100% alike)\n")
    other = shell.runs("llmspell run examples/compare_json.lua -- one.json two.json")
    assert (other.status, other.out) == (1, "a[1]: 2 and 3\n1 of 3 values differ (66% alike)\n")
    assert "usage: " in shell.runs("llmspell run examples/compare_json.lua -- one.json").out


def test_csv_columns_works(shell: Reader) -> None:
    shell.runs(ROWS)
    done = shell.runs("llmspell run examples/csv_columns.lua -- people.csv --where 'age > 40'")
    assert done.status == 0, done.out
    assert done.out.startswith("2 rows, separated by ','\n")
    assert re.search(r"^age +\w+ +from 36 to 85, mean 60.5$", done.out, re.MULTILINE)
    assert json.loads(done.out.splitlines()[-1])["name"] == "Grace"
    assert "--where: " in shell.runs("llmspell run examples/csv_columns.lua -- people.csv --where 'nosuch > 1'").out
    assert shell.runs("llmspell run examples/csv_columns.lua -- nosuch.csv").status == 1
    assert "usage: " in shell.runs("llmspell run examples/csv_columns.lua").out


def test_providers_works(shell: Reader) -> None:
    done = shell.runs("llmspell run examples/providers.lua")
    assert done.status == 0
    assert done.out.startswith("configured: candle, ollama\n")
    assert "installed: smollm2:135m\n" in done.out
    asked = shell.runs('llmspell run examples/providers.lua -- "Say hello."')
    assert asked.status == 0
    assert re.search(r"^smollm2:135m\S*: .", asked.out, re.MULTILINE)
    refused = shell.runs('llmspell run examples/providers.lua -- "Say hello." --use groq')
    assert "groq can't be used here" in refused.out


def test_remembering_chat_works(shell: Reader) -> None:
    run = "llmspell run examples/remembering_chat.lua -- --model mock/m --name ada"
    assert shell.runs(run, "I am Ada.\n\nnot read\n").out == "Hello! An empty line ends it.\n[mock/m] I am Ada.\n"
    later = shell.runs(run, "Who am I?\n")
    assert later.out == "We have talked before: 2 messages. An empty line ends it.\n[mock/m] Who am I?\n"
    assert shell.runs(run + " --forget").out == "Forgotten.\n"
    assert shell.runs(run, "").out == "Hello! An empty line ends it.\n"


def test_sentences_works(shell: Reader) -> None:
    run = "llmspell run examples/sentences.lua -- --model mock/m "
    done = shell.runs(run + "'One is first. Two? The rest has no end'")
    assert done.out == "1. [mock/m] One is first.\n2. Two?\n3. The rest has no end\n"
    assert shell.runs(run + "'One. Two. Three.' --most 2").out == "1. [mock/m] One.\n2. Two.\n"


def test_models_works(shell: Reader) -> None:
    first = shell.runs("llmspell run examples/models.lua -- --load smollm2:135m")
    assert first.status == 0
    assert re.match(r"smollm2:135m\S* loaded in \d+ ms\n", first.out)
    assert "  in memory\n" in first.out
    done = shell.runs("llmspell run examples/models.lua", apart=True)
    assert done.status == 0
    assert re.match(r"smollm2:135m +candle +\d+ MB  ", done.out)
    assert done.out.endswith(" MB in all\n")
    assert "ollama: connection refused\n" in done.err


def test_compare_models_works(shell: Reader) -> None:
    run = "llmspell run examples/compare_models.lua -- --models "
    done = shell.runs(run + "mock/a,mock/b 'Name a fruit.' Twice", apart=True)
    assert done.status == 0
    lines = done.out.splitlines()
    assert (lines[0], lines[3]) == ("1. Name a fruit.", "2. Twice")
    assert re.fullmatch(r"   mock/b +\d+ ms  \[mock/b\] Name a fruit\.", lines[2])
    assert "mock/a: " in done.err
    same = shell.runs(run + "mock/a,mock/a")
    assert same.out.count("   the same\n") == 2


def test_csv_prompts_works(shell: Reader) -> None:
    shell.runs(ROWS)
    run = "llmspell run examples/csv_prompts.lua -- people.csv --model mock/m --prompt "
    done = shell.runs(run + "'Greet {name} from {town} ({nosuch})'", apart=True)
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "prompt,answer",
        "Greet Ada from London (?),[mock/m] Greet Ada from London (?)",
        '"Greet Grace from New York, NY (?)","[mock/m] Greet Grace from New York, NY (?)"',
    ]
    assert "2 of 2, about 0 s left\n" in done.err
    assert "usage: " in shell.runs("llmspell run examples/csv_prompts.lua").out


def test_contacts_works(shell: Reader) -> None:
    shell.runs("printf 'Ada was born in London in 1815.\n\nGrace came in 1906.\n' > notes.txt")
    done = shell.runs("llmspell run examples/contacts.lua -- notes.txt --model mock/m", apart=True)
    assert done.status == 0, done.err
    people = json.loads(done.out)
    assert [one["text"] for one in people] == ["Ada was born in London in 1815.", "Grace came in 1906."]
    assert {*people[0]} == {"name", "town", "year", "text", "is_in_text"}
    assert "2 people, " in done.err
    real = shell.runs("llmspell run examples/contacts.lua", "Ada was born in London in 1815.", apart=True)
    assert real.status == 0, real.err
    assert isinstance(json.loads(real.out)[0]["year"], int)


def test_letters_works(shell: Reader) -> None:
    shell.runs(ROWS)
    shell.runs("printf '{{ number }}. Dear {{ name }} of {{ town }}' > letter.txt")
    done = shell.runs("llmspell run examples/letters.lua -- letter.txt people.csv")
    assert (done.status, done.out) == (0, "1. Dear Ada of London\n2. Dear Grace of New York, NY\n")
    shell.runs("printf '{{ number' > broken.txt")
    assert "row 1: " in shell.runs("llmspell run examples/letters.lua -- broken.txt people.csv").out
    assert "usage: " in shell.runs("llmspell run examples/letters.lua").out


def test_show_rows_works(shell: Reader) -> None:
    shell.runs(ROWS)
    done = shell.runs("llmspell run examples/show_rows.lua -- people.csv")
    assert done.status == 0
    table, chart = "age  name   town\n36   Ada    London\n85   Grace  New York, NY\n", "a chart of 2 bars\n"
    assert done.out.replace("rows  2 of 2  ✓\n", "") == (
        f"{table}**2 rows**, the longest value has 12 characters\n{chart}"
    )
    assert "usage: " in shell.runs("llmspell run examples/show_rows.lua").out


@pytest.fixture(params=["embedded", "connected"])
def library(request: pytest.FixtureRequest, tmp_path: Path, searching_models: Path) -> Iterator[Reader]:
    """Where documents are taken in and found: with a model that makes vectors, and the global RAG."""
    with reader(tmp_path, searching_models) as one:
        watched(one, request.param)
        one.runs("export LLMSPELL_RAG_ENABLED=true")
        shutil.copytree(ROOT / "docs" / "tutorial", one.work / "docs")
        if request.param == "connected":
            assert one.runs("llmspell kernel start --daemon --port 0").status == 0
        yield one


def test_docs_chat_works(library: Reader) -> None:
    run = "llmspell run examples/docs_chat.lua -- --max-tokens 30"
    done = library.runs(f'{run} "How do I start a kernel in the background?"', apart=True)
    assert done.status == 0, done.err
    assert "4 pages are there, 4 of them new or changed\n" in done.err
    sources = [line for line in done.out.splitlines() if line.startswith("  [")]
    assert sources
    assert any("daemon.md:" in line for line in sources)
    again = library.runs(run, "What is a script?\n\nnot read\n", apart=True)
    assert "4 pages are there, 0 of them new or changed\n" in again.err
    assert again.out.count("  [1]") == 1
    nothing = library.runs(f'{run} --threshold 0.99 "Who won the race?"', apart=True)
    assert nothing.out == "The documentation says nothing about that.\n"


def test_search_notes_works(library: Reader) -> None:
    run = "llmspell run examples/search_notes.lua -- "
    assert library.runs(run + '"Where do we meet?"').out.splitlines()[0] == (
        "room (2024, minutes): From May on we meet on Mondays in the room above the bakery."
    )
    earlier = library.runs(run + '"Where do we meet?" --years 2021,2022')
    assert earlier.out.startswith("library (2022, minutes): ")
    south = library.runs(run + "money --team south --years 2023,2024 --kind plan")
    assert south.out == "engine (2024, plan): We take a loan of 5,000 euros for the new engine.\n"
    assert library.runs(run + "money --kind nosuch").out == "No note of team north fits.\n"
    assert "usage: " in library.runs("llmspell run examples/search_notes.lua").out


def test_agent_documents_works(library: Reader) -> None:
    run = "llmspell run examples/agent_documents.lua -- --model mock/m "
    done = library.runs(run + """'call search-documents {"query": "start a kernel"}'""", apart=True)
    assert done.status == 0, done.err
    assert 'looked for "start a kernel"\n' in done.err
    assert done.out.startswith('[mock/m] {"passages": [')
    assert "usage: " in library.runs("llmspell run examples/agent_documents.lua").out


def test_documents_are_asked_by_the_shell_script(library: Reader) -> None:
    done = library.runs("examples/ask_docs.sh docs How do I start a kernel?", apart=True)
    assert done.status == 0, done.err
    assert "✓ Collection 'docs': 4 documents added" in done.out
    assert "\n[1] " in done.out


def test_the_demo_runs_from_its_first_line_to_its_last(tmp_path: Path, models: Path) -> None:
    with reader(tmp_path, models) as one:
        home = one.work / ".demo"
        home.mkdir(mode=0o700)
        shutil.copytree(models, home / "models", copy_function=os.link)  # so that there is nothing to download
        done = one.runs("bash examples/demo.sh")
        assert done.status == 0, done.out
        shown = [line.split()[1:] for line in done.out.splitlines() if line.startswith("$ llmspell ")]
        steps = re.findall(r"^step (.+)$", (ROOT / "examples" / "demo.sh").read_text(), re.MULTILINE)
        assert [words[1:3] for words in shown] == [shlex.split(step)[:2] for step in steps]
        assert not list((home / "run").glob("*.json"))


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_every_line_of_the_examples_has_run(mode: str, request: pytest.FixtureRequest) -> None:
    selected = {item.name.partition("[")[0] for item in request.session.items if item.path == request.path}
    if not {name for name in globals() if name.startswith("test_")} <= selected:
        pytest.skip("only where all tests of this file run")
    left = LINES[mode].not_run()
    assert not left, "these lines did not run: " + ", ".join(left)

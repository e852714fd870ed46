"""What people type in their first hour, out of habit or by mistake, and what they should see.

Each case is one command line of a reader in a directory of their own, beside whom a kernel runs (without `--embedded`
they use it), and a piece of the answer. What needs a terminal is tested where the prompts are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.reader import Reader, reader


class Habit(NamedTuple):
    """A command line, a pattern that what it prints has to hold, and how it ends; `files` are written before."""

    command: str
    answer: str
    status: int = 0
    files: tuple[tuple[str, str], ...] = ()


ONE_KEY = (("llmspell.toml", "[kernel]\nport = 9600\n"),)
KEEP_ALIVE = (("llmspell.toml", '[models]\nkeep_alive = "1h"\n'),)
SERVERS = (
    (
        "llmspell.toml",
        '[providers.openai]\ndefault_model = "gpt-4o-mini"\n\n[providers.box]\nprovider_type = "openai"\n'
        'base_url = "http://127.0.0.1:9/v1"\ndefault_model = "qwen"\n',
    ),
)
MISSPELT_SETTING = (("llmspell.toml", "[providers.candle]\ncontxt_size = 4096\n"),)
MISSPELT_AGENT = (("agent.lua", 'Agent.create{model="smollm2:135m@candle", sytem_prompt="You are a pirate."}\n'),)
DEEP = (
    (
        "deep.lua",
        "local function inner(a)\n  return a.b.c\nend\nlocal function outer()\n  local c = inner({})\n  return c\n"
        "end\nprint(outer())\n",
    ),
)
READS = (("reads.lua", 'for line in io.lines("data.txt") do print(line) end\n'), ("data.txt", "one\ntwo\n"))
OUTSIDE = (("outside.lua", 'print(io.open("/etc/hostname"))\nassert(io.open("/etc/hostname"))\n'),)
CLIENT = (
    (
        "claude_desktop_config.json",
        '{"mcpServers": {"time": {"command": "sh", "args": ["-c", "exec mcp-server-time"]}}}',
    ),
)
CALCULATES = 'call calculator {"input": "17 * 23"}'
RUNS = 'call process-executor {"executable": "date"}'
STDIN = (("stdin.lua", 'print("got " .. io.read("a"))\n'),)

HABITS = {
    # A prompt as words
    "a prompt alone": Habit('llmspell chat -o max_tokens 8 "What is 2+2?" < /dev/null', r"\w"),
    "a model and a prompt": Habit('llmspell chat smollm2:135m -o max_tokens 8 "What is 1+1?"', r"\w"),
    "-m": Habit('llmspell chat -m smollm2:135m -o max_tokens 8 "hi"', r"\w"),
    "run with a model": Habit('llmspell run smollm2:135m "hello"', r"\w"),
    "no prompt at all": Habit("llmspell chat < /dev/null", r'there is no message[\s\S]*llmspell chat "PROMPT"', 2),
    "a misspelt model": Habit('llmspell chat smolm2:135m "hi"', r"smollm2:135m", 3),
    "a model that nobody has": Habit("llmspell chat nosuchmodel:7b hi", r"not found", 3),
    "a reply that was cut says so": Habit(
        'llmspell chat -o max_tokens 5 "Tell me a long story."', r"\[cut at 5 tokens"
    ),
    # Files beside the settings add to them
    "one key: valid": Habit("llmspell config validate", r"Valid", files=ONE_KEY),
    "one key: local models stay": Habit("llmspell --embedded model status", r"candle +ready", files=ONE_KEY),
    "one key: chat works": Habit("llmspell --embedded chat -o max_tokens 5 hi", r"\w", files=KEEP_ALIVE),
    "servers: local models stay": Habit("llmspell --embedded model list", r"smollm2:135m", files=SERVERS),
    "a dead server in the doctor": Habit("llmspell doctor --offline || true", r"box[\s\S]*refused", files=SERVERS),
    "a server's models": Habit("llmspell --embedded model list --backend box || true", r"refused", files=SERVERS),
    "a misspelt setting": Habit("llmspell config validate", r"context_size", 2, MISSPELT_SETTING),
    "a setting by a command": Habit("llmspell config set models.keep_alive 1h && cat ~/.llmspell/config.toml", r"1h"),
    # The kernel that runs
    "one model for all": Habit("llmspell model load smollm2:135m && llmspell model list -v", r"LOADED|yes"),
    "a kernel by the beginning of its id": Habit("llmspell --connect pid- model ps", r"smollm2:135m"),
    "the log tells of loads": Habit("llmspell kernel logs", r"smollm2:135m"),
    # Expressions
    "an expression": Habit("llmspell exec '6*7'", r"^42$"),
    "the last line of a cell": Habit("printf 'x = 20 + 1\\nx * 2\\n' | llmspell --embedded repl", r"^42$"),
    # Scripts
    "a misspelt key of an agent": Habit("llmspell run agent.lua", r"system_prompt", 1, MISSPELT_AGENT),
    "a stack": Habit("llmspell run deep.lua", r"deep\.lua:2[\s\S]*deep\.lua:5[\s\S]*deep\.lua:8", 1, DEEP),
    "a file below": Habit("llmspell run reads.lua", r"one\ntwo", files=READS),
    "a file elsewhere": Habit("llmspell run outside.lua", r"--allow-read", 1, OUTSIDE),
    "a file elsewhere, allowed": Habit("llmspell run --allow-read=/etc outside.lua", r"file", files=OUTSIDE),
    "standard input": Habit("echo hello | llmspell run stdin.lua", r"got hello", files=STDIN),
    "null": Habit("""llmspell exec 'return JSON.stringify(JSON.parse("[1,null,3]"))'""", r"\[1,null,3\]"),
    "an empty array": Habit("""llmspell exec 'return JSON.stringify(JSON.parse("[]"))'""", r"\[\]"),
    "embeddings": Habit("llmspell exec 'return #LocalLLM.embed(\"hi\")'", r"576"),
    # Words from elsewhere
    "help COMMAND": Habit("llmspell help chat", r"Usage: llmspell chat"),
    "ollama list": Habit("llmspell list", r"smollm2:135m"),
    "ollama ps": Habit("llmspell ps", r"MODEL"),
    "ollama show": Habit("llmspell show smollm2:135m", r"smollm2"),
    "llm logs": Habit("llmspell logs", r"llmspell session list", 2),
    "llm -t": Habit("llmspell templates", r"llmspell chat -s @FILE", 2),
    "keys set": Habit("llmspell keys set --help", r"llmspell keys add"),
    "kernel ls": Habit("llmspell kernel ls", r"ID"),
    # Tools
    "llm tools": Habit("llmspell tools list", r"^calculator$"),
    "llm -T": Habit("llmspell chat -T calculator hi", r"did you mean '--tool'", 2),
    "llm --functions": Habit("llmspell chat --functions 'def f(): pass' hi", r"Tool\.register", 2),
    "a model with a tool": Habit(f"llmspell chat -m mock/a --tool calculator '{CALCULATES}'", r"391"),
    "a misspelt tool": Habit("llmspell chat --tool calculatr hi", r"did you mean 'calculator'", 3),
    "a file for a tool, not allowed": Habit(
        """llmspell tool invoke file-operations --params '{"operation": "read", "path": "/etc/hostname"}'""",
        r"Path not allowed[\s\S]*--allow-read=/etc/hostname",
        1,
    ),
    "a program for a model, with no person": Habit(
        f"llmspell chat -m mock/a --tool process-executor --allow-run '{RUNS}'",
        r"no person could be asked[\s\S]*tools\.approval",
    ),
    "claude mcp": Habit("llmspell mcp list", r"config import-mcp", 2),
    "servers of another client": Habit(
        "llmspell config import-mcp claude_desktop_config.json --dry-run", r"\[mcp\.servers\.time\]", files=CLIENT
    ),
    "a server that there is not": Habit("llmspell chat --mcp github hi", r"\[mcp\.servers\.github\]", 3),
    # Numbers and errors
    "statistics of one token": Habit("llmspell chat -o max_tokens 1 --stats hi", r"\A(?![\s\S]*000000\.0 tokens/s)"),
    "an option out of its range": Habit("llmspell chat -o temperature 9 hi", r"temperature[\s\S]*0 to 2", 2),
    "a context of one's own": Habit("llmspell --embedded chat --num-ctx 512 -o max_tokens 5 hi", r"\w"),
    "embed with a chat model": Habit("llmspell embed hello", r"smollm2:135m"),
    "verify without a model": Habit("llmspell model verify --help", r"\[MODEL\]"),
    "a profile whose vendors have no keys": Habit("llmspell -p rag-prod config validate", r"llmspell keys add openai"),
    "profiles for documents": Habit("llmspell config list-profiles", r"rag-dev[\s\S]*rag-prod[\s\S]*rag-perf"),
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, models: Path, neighbour: Reader) -> Iterator[Reader]:
    """The reader."""
    with reader(tmp_path_factory.mktemp("first"), models) as one:
        one.joins(neighbour)
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_a_habit_is_answered(habit: Habit, shell: Reader) -> None:
    for path in shell.work.iterdir():
        if path.is_file():
            path.unlink()
    (shell.home / "config.toml").unlink(missing_ok=True)
    for name, text in habit.files:
        (shell.work / name).write_text(text)
    done = shell.runs(habit.command)
    assert re.search(habit.answer, done.out, re.MULTILINE), done.out
    assert done.status == habit.status, done.out


def test_piped_input_and_a_prompt_are_one_message(shell: Reader) -> None:
    def tokens(command: str) -> int:
        done = shell.runs(f"{command} --json --no-stream -o max_tokens 3", apart=True)
        return int(json.loads(done.out)["usage"]["prompt_tokens"])

    alone = tokens('llmspell chat "Repeat the secret word." < /dev/null')
    assert tokens('echo "The secret word is BANANA." | llmspell chat "Repeat the secret word."') > alone + 5


def test_an_agent_without_a_system_prompt_says_the_same_each_time_at_temperature_0(shell: Reader) -> None:
    (shell.work / "one.lua").write_text(
        'local agent = Agent.create{model="smollm2:135m@candle", temperature=0, max_tokens=12}\n'
        'print(agent:execute("Tell me about Paris.").text)\n'
    )
    assert len({shell.runs("llmspell run one.lua", apart=True).out for _ in range(4)}) == 1


def test_a_command_that_is_ended_leaves_nothing_in_the_temporary_directory(shell: Reader) -> None:
    done = shell.runs(
        "mkdir -p ~/t; TMPDIR=~/t timeout 4 llmspell --embedded chat 'Write a very long story.' > /dev/null 2>&1;"
        ' for i in $(seq 200); do [ -z "$(ls -A ~/t)" ] && break; sleep 0.2; done; ls -A ~/t'
    )
    assert done.out == ""


def test_stopping_what_does_not_run_says_so(tmp_path: Path, models: Path) -> None:
    with reader(tmp_path, models) as one:
        done = one.runs("llmspell kernel stop")
    assert (done.status, done.out.splitlines()[0]) == (4, "Error: no kernel is running")

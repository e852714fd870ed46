"""`llmspell chat [MODEL] [PROMPT]…`: what the model is asked, embedded and connected, and what becomes of its reply."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Done, llmspell
from tests.support.kernels import KernelProcess
from tests.support.model_server import Act, ModelServer, chunk, said

CODE = "Look:\n```python\nprint(1)\n```\nor\n```\nls\n```\nso."
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)

Run = Callable[..., Done]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """The default model's."""
    with ModelServer(said("Four", "."), models=("m",)) as one:
        yield one


@pytest.fixture
def target(
    server: ModelServer,
    home: Path,
    home_of_the_cases: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[list[str]]:
    """The words for a mode; the model `tiny` is installed, and the default one is at the server."""
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    shutil.copytree(home_of_the_cases, home, dirs_exist_ok=True)
    (home / "config.toml").write_text(
        f"""
        [providers]
        default_provider = "box"
        [providers.candle]
        [providers.box]
        provider_type = "openai"
        base_url = "{server.base_url}"
        default_model = "m"
        """
    )
    if request.param == "embedded":
        yield []
        return
    kernel = KernelProcess()
    yield ["--connect", str(kernel.started["connection_file"])]
    kernel.stop()


@pytest.fixture
def run(target: list[str]) -> Run:
    """The command line in that mode."""
    return lambda *words, **rest: llmspell(*target, *words, **rest)


both = pytest.mark.parametrize("target", ["embedded", "connected"], indirect=True)
embedded = pytest.mark.parametrize("target", ["embedded"], indirect=True)


@both
def test_the_default_model_answers_what_names_no_model(run: Run, server: ModelServer) -> None:
    assert run("chat", "What is 2+2?").out == "Four.\n"
    assert run("chat", "hello").out == "Four.\n"
    assert run("chat", "tell", "me", "a joke", stdin="about this\n").out == "Four.\n"
    assert run("prompt", "-m", "box/m", "smollm2:135m is what?").out == "Four.\n"
    assert [asked.body["messages"][-1]["content"] for asked in server.posts] == [
        "What is 2+2?",
        "hello",
        "tell me a joke\n\nabout this",
        "smollm2:135m is what?",
    ]


@both
def test_a_first_word_that_is_nearly_a_model_is_not_taken_for_a_text(run: Run, server: ModelServer) -> None:
    done = run("chat", "tinyy", "hello")
    assert (done.status, done.err) == (
        3,
        "Error: Model 'tinyy' not found in any backend\n"
        "Hint: did you mean 'tiny'? As a text: llmspell chat -m m@box tinyy …\n"
        "Hint: ollama can't tell: no answer from http://127.0.0.1:9 (connection refused)\n",
    )
    done = run("chat", "smollm2:135m", "hello")
    assert (done.status, done.err.splitlines()[1]) == (3, "Hint: llmspell model pull smollm2:135m@candle")
    done = run("chat", "phi-9", "hello")
    assert done.status == 3
    assert done.err.splitlines()[:2] == [
        "Error: Model 'phi-9' not found in any backend",
        "Hint: did you mean 'phi-2'? llmspell model pull phi-2; as a text: llmspell chat -m m@box phi-9 …",
    ]
    assert server.posts == []


@embedded
def test_a_person_is_told_which_model_answers_a_word_that_names_none(target: list[str], server: ModelServer) -> None:
    terminal = AtTerminal(["chat", "hello"], env={"NO_COLOR": "1"})
    terminal.wait_for("m@box answers; a model named 'hello' is not installed\r\n")
    terminal.wait_for("Four.")
    assert terminal.end() == 0


@both
def test_options_system_prompt_and_schema_reach_the_model(run: Run, server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Be short.\n")
    words = ("chat", "-s", "@system.txt", "-o", "temperature", "0", "-o", "max-tokens", "9", "-o", "stop", "END")
    assert run(*words, "--top-p", "0.5", "What is 2+2?").status == 0
    body = server.posts[-1].body
    assert (body["temperature"], body["top_p"], body["stop"]) == (0, 0.5, ["END"])
    assert 9 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["messages"][0] == {"role": "system", "content": "Be short."}
    done = run("chat", "Who?", "--schema", "name, age int: in years")
    assert done.status == 1  # "Four." is no JSON.
    schema = server.posts[-1].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {
        "name": {"type": "string"},
        "age": {"type": "integer", "description": "in years"},
    }


@both
def test_an_image_is_shown_to_the_model_and_refused_by_one_that_is_blind(
    run: Run, server: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(PNG)
    assert run("chat", "--image", "x.png", "What is this?").out == "Four.\n"
    shown = server.posts[-1].body["messages"][0]["content"]
    assert [part["type"] for part in shown] == ["text", "image_url"]
    assert shown[1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
    done = run("chat", "-m", "tiny", "--image", "x.png", "What is this?", "--json")
    assert (done.status, done.error["code"], done.error["details"]["operation"]) == (2, "unsupported", "images")


@embedded
def test_a_code_block_is_all_that_is_shown_of_a_reply(run: Run, server: ModelServer) -> None:
    server.answers(said(CODE))
    assert run("chat", "-x", "Write code.").out == "print(1)\n"
    assert run("chat", "--extract-last", "Write code.").out == "ls\n"
    assert run("chat", "-x", "Write code.", "--json", "--no-stream").document["code"] == "print(1)\n"
    server.answers(said("No code."))
    done = run("chat", "-x", "Write code.")
    assert (done.out, done.err) == ("No code.\n", "the reply has no code block: all of it is shown\n")


@embedded
def test_what_a_model_thinks_is_shown_to_people_alone(target: list[str], run: Run, server: ModelServer) -> None:
    thought = [chunk({"reasoning_content": "2 and 2 …"}), chunk({"content": "Four."}), chunk(finish="stop")]
    server.answers(Act([*thought, "data: [DONE]\n\n"]))
    assert run("chat", "What is 2+2?").out == "Four.\n"
    for words, expected in (
        ((), "Thinking …\r\n2 and 2 …\r\n… done thinking\r\n\r\nFour.\r\n"),
        (("--hide-thinking",), "Four.\r\n"),
    ):
        terminal = AtTerminal([*target, "chat", "What is 2+2?", *words], env={"NO_COLOR": "1"})
        assert terminal.end() == 0
        assert terminal.said.endswith(expected)


@embedded
@pytest.mark.parametrize(
    ("stdin", "words", "said_first"),
    [
        (b"\x89PNG\r\n\x1a\n", ("hi",), "standard input is not UTF-8 text (byte 0)"),
        (b"a\0b", ("hi",), "standard input is not text (a zero at character 1)"),
        (b"", (), "there is no message"),
        (b"\n", ("mock/a",), "there is no message"),
        (b"", ("mock/a", "-"), "'-' stands for piped input, and there is none"),
    ],
)
def test_input_that_is_no_text_or_not_there_is_refused(
    stdin: bytes, words: tuple[str, ...], said_first: str, run: Run, server: ModelServer
) -> None:
    done = run("chat", *words, stdin=stdin.decode("latin-1"), encoding="latin-1")
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: {said_first}")
    assert server.posts == []


@embedded
def test_at_a_terminal_a_prompt_is_answered_once_and_a_model_opens_a_conversation(target: list[str]) -> None:
    once = AtTerminal([*target, "chat", "hello"])
    assert once.end() == 0
    assert once.said.endswith("Four.\r\n")
    talk = AtTerminal([*target, "chat", "tiny"])
    talk.wait_for("Chatting with tiny@candle.")
    talk.wait_for("> ")
    talk.type("\x04")
    assert talk.end() == 0


@both
def test_the_words_of_ollama_and_llm_do_the_same_here(run: Run) -> None:
    listed = "tiny   candle\nbox/m  box\n"
    assert run("list").out == run("ls").out == run("models").out == run("models", "list").out == listed
    assert run("show", "tiny").out == run("model", "show", "tiny").out == run("model", "info", "tiny").out
    assert run("pull", "mock/a").out == "✓ Already present: mock/a (mock)\n"
    assert run("rm", "nosuch@candle", "--yes").status == 3
    assert run("run", "mock/a:x", "hi", "there").out == "[mock/a:x] hi there\n"


@embedded
def test_a_missing_model_is_offered_only_where_it_can_be_pulled(target: list[str]) -> None:
    for words in (["chat", "nope:7b"], ["chat", "nope:7b", "hi"], ["chat", "tinyy:1b"]):
        terminal = AtTerminal([*target, *words])
        assert terminal.end() == 3
        assert "[y/N]" not in terminal.said
    terminal = AtTerminal([*target, "chat", "smollm2:135m", "hi"])
    terminal.wait_for("Pull smollm2:135m@candle now (98.4 MB)? [y/N]: ")
    terminal.type("n\n")
    assert terminal.end() == 0

"""`chat` and `embed`: one turn, a conversation at a terminal, Ctrl-C, formats."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.kernels import KernelProcess

LONG_REPLY = {"LLMSPELL_MOCK_REPLY": "word " * 24_000, "LLMSPELL_MOCK_PAUSE": "0.001"}
"""Takes half a minute: long enough for Ctrl-C to meet it."""


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, home: Path) -> Iterator[list[str]]:
    """The words that choose the mode; the connected kernel's mock replies at length."""
    if request.param == "embedded":
        yield []
        return
    process = KernelProcess(env=LONG_REPLY)
    yield ["--connect", str(process.started["connection_file"])]
    process.stop()


def test_the_reply_is_all_that_stdout_holds(home: Path) -> None:
    done = llmspell("chat", "mock/a", "--message", "hello", "--trace", "trace")
    assert (done.status, done.out) == (0, "[mock/a] hello\n")


def test_piped_input_is_one_message(home: Path) -> None:
    assert llmspell("chat", "mock/a", stdin="two\nlines\n").out == "[mock/a] two\nlines\n"


def test_no_message_at_all_is_a_usage_error(home: Path) -> None:
    done = llmspell("chat", "mock/a", stdin=" \n")
    assert (done.status, done.err.splitlines()[0]) == (2, "Error: there is no message")


def test_json_is_a_stream_of_deltas_and_a_last_line_with_everything(home: Path) -> None:
    events = llmspell("chat", "mock/a", "--message", "hello you", "--json").events
    assert [event["event"] for event in events] == ["delta", "delta", "delta", "done"]
    done = events[-1]
    assert {"message", "finish_reason", "usage", "timings", "model", "backend"} <= set(done)
    assert set(done["usage"]) == {"prompt_tokens", "cached_tokens", "completion_tokens"}
    assert set(done["timings"]) >= {
        *("queue_ms", "load_ms", "prefill_ms", "decode_ms", "first_token_ms", "tokens_per_second"),
        *("draft_tokens", "accepted_tokens"),
    }
    assert "".join(event.get("text", "") for event in events) == done["message"]["content"]


def test_without_streaming_the_last_document_stands_alone(home: Path) -> None:
    document = llmspell("chat", "mock/a", "--message", "hi", "--json", "--no-stream").document
    assert document["message"]["content"] == "[mock/a] hi"
    assert llmspell("chat", "mock/a", "--message", "hi", "--no-stream").out == "[mock/a] hi\n"


def test_options_reach_the_model(home: Path) -> None:
    done = llmspell("chat", "mock/a", "--message", "oneSTOP two", "--stop", "STOP", "--stats")
    assert done.out == "[mock/a] one\n"
    assert done.err.startswith("prompt 2 tokens (0 cached), reply ")


def test_a_system_prompt_may_come_from_a_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("one two three four\n")
    done = llmspell("chat", "mock/a", "--system", "@system.txt", "--message", "hi", "--json")
    assert done.events[-1]["usage"]["prompt_tokens"] == 5
    assert llmspell("chat", "mock/a", "--system", "@nosuch", "--message", "hi").status == 3


def test_a_schema_shapes_the_reply(home: Path, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    assert llmspell("chat", "mock/a", "--schema", "schema.json", "--message", "x").out == '{"n": 0}\n'
    (tmp_path / "broken.json").write_text("{")
    done = llmspell("chat", "mock/a", "--schema", "broken.json", "--message", "x")
    assert (done.status, done.err.startswith("Error: broken.json: line 1 column 2")) == (2, True)


@pytest.mark.parametrize(
    ("reply", "said"), [("no JSON", "the reply is not JSON"), ("[1]", "the reply does not fit the schema at '/'")]
)
def test_a_reply_that_does_not_fit_its_schema_is_a_failure(reply: str, said: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    words = ("chat", "mock/a", "--schema", "schema.json", "--message", "x")
    done = llmspell(*words, env={"LLMSPELL_MOCK_REPLY": reply})
    assert done.status == 1
    assert said in done.err


def test_ctrl_c_ends_one_turn_with_130_and_what_has_come_stays(target: list[str]) -> None:
    running = Running(*target, "chat", "mock/a", "--message", "x", env=LONG_REPLY)
    running.wait_for("word word")
    running.interrupt()
    done = running.done()
    assert (done.status, done.err) == (130, "Cancelled\n")
    assert done.out.startswith("word word")
    assert done.out.endswith("\n")


def test_ctrl_c_in_json_mode_is_an_error_object(target: list[str]) -> None:
    running = Running(*target, "chat", "mock/a", "--message", "x", "--json", env=LONG_REPLY)
    running.wait_for("word")
    running.interrupt()
    done = running.done()
    assert (done.status, done.error["code"]) == (130, "cancelled")


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(home: Path) -> None:
    running = Running("chat", "mock/a", "--message", "x", env=LONG_REPLY, keep_out=True)
    assert running.process.stdout is not None
    assert running.process.stdout.read(4) == b"word"
    running.process.stdout.close()
    done = running.done()
    assert (done.status, done.err) == (0, "")


def test_a_timeout_ends_with_5(target: list[str]) -> None:
    done = llmspell(*target, "chat", "mock/a", "--message", "x", "--timeout", "0.2", env=LONG_REPLY)
    assert done.status == 5
    assert done.err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("columns", [60, 200])
def test_a_conversation_at_a_terminal(columns: int, home: Path, tmp_path: Path) -> None:
    chat = AtTerminal(["chat", "mock/a"], columns=columns)
    chat.wait_for("Chatting with mock/a@mock. /help for commands, Ctrl+D to")
    chat.wait_for("leave")
    chat.wait_for("> ")
    for line, answer in (
        ("hello", "[mock/a] hello"),
        ("/stats", "prompt 1 tokens (0 cached)"),
        ("/set temperature 0.5", "temperature = 0.5"),
        ("/set temperature=1", "Hint: /set temperature 1"),
        ("/set temprature 1", "did you mean 'temperature'?"),
        ("/set temperature", "temperature = 0.5"),
        ("/show", "options: temperature = 0.5"),
        ("/undo", "Taken back: hello"),
        ("/retry", "there is no message to answer again"),
        ("/system short", "System prompt set"),
        ("/model mock/b", "Chatting with mock/b@mock"),
        ("hi", "[mock/b] hi"),
        ("/retry", "[mock/b] hi"),
        ("/save .", ". is a directory"),
        ("/save chat.json", "Conversation saved to chat.json"),
        ("/clear", "Conversation forgotten"),
        ("/load chat.json", "(2 messages)"),
        ("/unset temperature", "temperature is not set"),
        ("/nonsense", "unknown command /nonsense"),
        ("/lod chat.json", "did you mean /load?"),
        ("/help", "leave (Ctrl+D too)"),
        ("/?", "leave (Ctrl+D too)"),
    ):
        chat.type(line + "\n")
        chat.wait_for(answer)
        chat.wait_for("> ")
    chat.type('"""\n')
    chat.wait_for("... ")
    chat.type('first\nsecond"""\n')
    chat.wait_for("[mock/b] first")
    chat.wait_for("> ")
    chat.type("/quit\n")
    assert chat.end() == 0
    assert json.loads((tmp_path / "chat.json").read_text())["messages"][0]["content"] == "hi"


def test_ctrl_c_cancels_the_reply_and_the_conversation_goes_on(target: list[str]) -> None:
    chat = AtTerminal([*target, "chat", "mock/a"], env=LONG_REPLY)
    chat.wait_for("> ")
    chat.type("go\n")
    chat.wait_for("word word")
    chat.type("\x03")
    chat.wait_for("[cancelled]")
    chat.wait_for("> ")
    chat.type("/stats\n")
    chat.wait_for("The last reply ended early, after ")
    chat.wait_for("> ")
    chat.type("/show\n")
    chat.wait_for("messages: 2")
    chat.wait_for("> ")
    chat.type("\x03")
    chat.wait_for("Ctrl+D or /exit to leave")
    chat.type("/exit\n")
    assert chat.end() == 0


def test_a_message_whose_reply_had_not_begun_at_ctrl_c_stays_without_a_reply(target: list[str]) -> None:
    chat = AtTerminal([*target, "chat", "mock/a", "--no-stream"], env=LONG_REPLY)
    chat.wait_for("> ")
    chat.type("go\r\x03")
    chat.wait_for("\n[cancelled]\r\n")
    chat.wait_for("> ")
    chat.type("/show\r")
    chat.wait_for("messages: 1 (1 without a reply, which the model is not sent)")
    chat.wait_for("> ")
    chat.type("\x04")
    assert chat.end() == 0


def test_a_model_that_is_not_there_is_offered_at_a_terminal_only(home: Path) -> None:
    chat = AtTerminal(["-p", "candle", "chat", "smollm2:135m"])
    chat.wait_for("Model 'smollm2:135m' is not installed")
    chat.wait_for("Pull smollm2:135m@candle now (98.4 MB)? [y/N]: ")
    chat.type("n\n")
    chat.wait_for("Cancelled")
    assert chat.end() == 0
    done = llmspell("-p", "candle", "chat", "smollm2:135m", "--message", "x")
    assert done.status == 3
    assert done.err.splitlines()[-1].startswith("Hint: llmspell model pull smollm2:135m@candle")


def test_vectors_are_lines_in_a_pipe_and_short_at_a_terminal(home: Path) -> None:
    lines = llmspell("embed", "--model", "mock/a", "one", "two").out.splitlines()
    vectors = [json.loads(line) for line in lines]
    assert [len(vector) for vector in vectors] == [32, 32]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1.0)
    shown = AtTerminal(["embed", "--model", "mock/a", "one"])
    shown.wait_for("0  32 dimensions  [")
    assert shown.end() == 0


def test_vectors_as_a_document(home: Path) -> None:
    document = llmspell("embed", "--model", "mock/a", "--json", stdin="one\n\ntwo\n").document
    assert set(document) == {
        *("model", "backend", "dimensions", "normalized", "count", "embeddings", "usage", "mode", "kernel")
    }
    assert [(entry["index"], entry["text"]) for entry in document["embeddings"]] == [(0, "one"), (1, "two")]
    assert document["usage"] == {"prompt_tokens": 2}


def test_batches_make_no_difference(home: Path) -> None:
    texts = ["one", "two", "three"]
    whole = llmspell("embed", "--model", "mock/a", "--json", *texts)
    assert llmspell("embed", "--model", "mock/a", "--json", "--batch-size", "2", *texts).out == whole.out


def test_texts_come_from_a_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('"one"\n{"text": "two"}\n\n')
    document = llmspell("embed", "--model", "mock/a", "--json", "--file", "texts.jsonl").document
    assert [entry["text"] for entry in document["embeddings"]] == ["one", "two"]
    (tmp_path / "bad.jsonl").write_text('"one"\n{"txt": 1}\n')
    done = llmspell("embed", "--model", "mock/a", "--file", "bad.jsonl")
    assert (done.status, done.err) == (2, 'Error: bad.jsonl:2: neither a string nor {"text": …}\n')
    assert llmspell("embed", "--file", os.devnull, "x").status == 2

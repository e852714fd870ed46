"""A person at the client is asked for a permission that a call lacks; a client whose input is data is not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.request_options import RequestOptions
from tests.support.command_line import AtTerminal, llmspell
from tests.support.kernels import KernelProcess


class Person:
    """Answers the kernel's questions in order."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, prompt: str, password: bool) -> str | None:
        self.asked.append(prompt)
        return self._answers.pop(0)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A file outside of everything that may be read; tests' own directories are below what settings allow."""
    place = Path("/var/tmp") / f"llmspell-{tmp_path_factory.getbasetemp().parent.name}-hidden.txt"
    place.write_text("secret", encoding="utf-8")
    yield str(place)
    place.unlink()


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    kernel = KernelProcess()
    with kernel.client() as client:
        yield client
    kernel.stop()


def read(client: Client, path: str, person: Person, **options: Any) -> str:
    content = {
        "action": "invoke",
        "tool": "file-operations",
        "parameters": {"operation": "read", "path": path},
        "allow_stdin": True,
    }
    metadata = {"llmspell": RequestOptions(**options).metadata()}
    return str(client.request("tool_request", content, on_input=person, metadata=metadata).result().content["text"])


def test_yes_counts_for_one_call(client: Client, hidden: str) -> None:
    person = Person("y", "n")
    assert read(client, hidden, person) == "secret"
    assert person.asked == [
        f"Tool 'file-operations' wants to read {hidden}.\nAllow it? [y]es once, for this [s]ession, [a]lways, [N]o: "
    ]
    with pytest.raises(Forbidden, match="Path not allowed") as refused:
        read(client, hidden, person)
    assert refused.value.hint == (
        f"allow it with --allow-read={hidden}, or for every call in the setting tools.permissions.read"
    )
    assert len(person.asked) == 2


def test_session_counts_until_the_client_has_gone(client: Client, hidden: str) -> None:
    person = Person("s")
    assert [read(client, hidden, person) for _ in range(2)] == ["secret", "secret"]
    assert len(person.asked) == 1
    with Client(client.info).connect(10.0) as other, pytest.raises(Forbidden):
        read(other, hidden, Person(""))


def test_always_is_kept_in_the_configuration(client: Client, hidden: str, home: Path, tmp_path: Path) -> None:
    assert read(client, hidden, Person("a")) == "secret"
    written = tomllib.loads((home / "config.toml").read_text(encoding="utf-8"))
    assert written["tools"]["permissions"]["read"] == [hidden]
    with Client(client.info).connect(10.0) as other:
        assert read(other, hidden, Person()) == "secret"
    words = ("tool", "invoke", "file-operations", "--params", f'{{"operation": "read", "path": "{hidden}"}}')
    assert llmspell("--embedded", *words).out == "secret\n"


@pytest.mark.parametrize("answer", ["", "n", "what?", "stop", "abort", "yesterday", None])
def test_anything_else_is_no(client: Client, hidden: str, answer: str | None) -> None:
    with pytest.raises(Forbidden, match="Path not allowed"):
        read(client, hidden, Person(answer))


def test_a_permission_that_was_taken_back_is_asked_for_again(client: Client, hidden: str, home: Path) -> None:
    assert read(client, hidden, Person("always")) == "secret"
    assert read(client, hidden, Person()) == "secret"
    (home / "config.toml").write_text("", encoding="utf-8")
    client.request("kernel_request", {"action": "reload_config"}).result(20)
    with pytest.raises(Forbidden):
        read(client, hidden, Person("n"))


def test_calls_side_by_side_ask_once_for_the_session(client: Client, hidden: str) -> None:
    call = f"{{name = 'file-operations', params = {{operation = 'read', path = '{hidden}'}}}}"
    code = f"local t = {{}} for i, r in ipairs(Tool.batch{{{call}, {call}, {call}}}) do t[i] = r.text end return t"
    person = Person("session")
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": True}
    pending = client.request("execute_request", content, on_input=person, metadata={"llmspell": {"isolated": True}})
    assert pending.result(30).content["result"] == ["secret"] * 3
    assert len(person.asked) == 1


def call(client: Client, tool: str, person: Person, **parameters: Any) -> dict[str, Any]:
    content = {"action": "invoke", "tool": tool, "parameters": parameters, "allow_stdin": True}
    return dict(client.request("tool_request", content, on_input=person).result(30).content)


def test_a_question_is_about_the_program_that_is_called_and_not_about_all(client: Client) -> None:
    person = Person("s", "n")
    assert call(client, "process-executor", person, executable="true")["success"]
    with pytest.raises(Forbidden, match="Command blocked: false"):
        call(client, "process-executor", person, executable="false")
    assert [one.partition(".\nAllow")[0] for one in person.asked] == [
        "Tool 'process-executor' wants to run true",
        "Tool 'process-executor' wants to run false",
    ]


@pytest.mark.parametrize(
    ("tool", "parameters", "setting"),
    [
        (
            "file-operations",
            {"operation": "write", "path": "/tmp/llmspell.exe", "input": "x"},
            "tools.file_operations.blocked_extensions",
        ),
        (
            "file-operations",
            {"operation": "write", "path": "/tmp/llmspell.png", "input": "x"},
            "tools.file_operations.validate_file_types",
        ),
        ("process-executor", {"executable": "true", "environment": {"LD_PRELOAD": "/x"}}, "tools.permissions.run"),
    ],
    ids=["extension", "kind of content", "variable"],
)
def test_what_no_permission_allows_is_not_asked_for(
    client: Client, tool: str, parameters: dict[str, Any], setting: str
) -> None:
    person = Person("y")
    with pytest.raises(Forbidden) as refused:
        call(client, tool, person, **parameters)
    assert refused.value.details["setting"] == setting
    assert len(person.asked) == 1  # for the place, or the program


def test_a_client_whose_input_is_data_is_not_asked(client: Client, hidden: str) -> None:
    person = Person()
    with pytest.raises(Forbidden):
        read(client, hidden, person, interactive=False)
    assert person.asked == []


def test_a_script_s_call_asks_the_person_who_runs_it(hidden: str, home: Path, tmp_path: Path) -> None:
    script = tmp_path / "read.lua"
    script.write_text(f'print(Tool.execute("file-operations", {{operation = "read", path = "{hidden}"}}).text)')
    shell = AtTerminal(["--embedded", "run", str(script)])
    shell.wait_for(f"wants to read {hidden}.")
    shell.wait_for("Allow it?")
    shell.type("y\n")
    shell.wait_for("secret")
    assert shell.end() == 0
    piped = llmspell("--embedded", "run", str(script), stdin="y\n")
    assert piped.status == 1
    assert "Path not allowed" in piped.err
    assert f"--allow-read={hidden}" in piped.err


def test_tool_invoke_asks_at_a_terminal(hidden: str, home: Path) -> None:
    params = f'{{"operation": "read", "path": "{hidden}"}}'
    shell = AtTerminal(["--embedded", "tool", "invoke", "file-operations", "--params", params])
    shell.wait_for("Allow it?")
    shell.type("n\n")
    shell.wait_for("Path not allowed")
    assert shell.end() == 1


def test_a_script_s_own_file_functions_and_programs_ask_as_well(hidden: str, home: Path, tmp_path: Path) -> None:
    script = tmp_path / "own.lua"
    script.write_text(f"print(io.open('{hidden}'):read('a')) print(io.popen('echo hi there'):read('a'))")
    shell = AtTerminal(["--embedded", "run", str(script)])
    shell.wait_for(f"The script wants to read {hidden}.")
    shell.wait_for("Allow it?")
    shell.type("y\n")
    shell.wait_for("secret")
    shell.wait_for("The script wants to run echo.")
    shell.wait_for("Allow it?")
    shell.type("s\n")
    shell.wait_for("hi there")
    assert shell.end() == 0
    shell = AtTerminal(["--embedded", "run", str(script)])
    shell.wait_for("Allow it?")
    shell.type("n\n")
    shell.wait_for(f"io.open: reading {hidden}")
    assert shell.end() == 1


def test_a_variable_that_settings_name_is_the_kernel_s_where_the_client_has_sent_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").write_text('[tools.permissions]\nenv = ["GREETING"]\n')
    monkeypatch.setenv("GREETING", "hello")
    monkeypatch.setenv("OTHER", "hidden")
    script = "return os.getenv('GREETING') .. tostring(os.getenv('OTHER'))"
    assert llmspell("--embedded", "exec", script).out == "hellonil\n"
    words = ("tool", "invoke", "environment-reader", "--params")
    assert llmspell("--embedded", *words, '{"name": "GREETING"}').out == "hello\n"
    refused = llmspell("--embedded", *words, '{"name": "OTHER"}')
    assert refused.status == 1
    assert "Variable not allowed: OTHER" in refused.err

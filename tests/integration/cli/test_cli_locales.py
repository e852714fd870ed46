"""Every locale: JSON is JSON, texts come in and go out as its encoding has them, and nothing is a defect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_cases import CASES, asks_for_json, one_of_each, undo, words_of
from tests.support.command_line import COMMAND

ENCODINGS = {"C": "utf-8", "POSIX": "utf-8", "C.UTF-8": "utf-8", "en_US.UTF-8": "utf-8", "de_DE.ISO-8859-1": "latin-1"}
"""Locales, and what Python makes of their encoding (in those of C it takes UTF-8)."""
MADE = {"en_US.UTF-8": ("en_US", "UTF-8"), "de_DE.ISO-8859-1": ("de_DE", "ISO-8859-1")}
TEXT = "é€😀\u2028\x85\x9b31m"


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with locales that this machine may lack."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/charmaps").is_dir():
        pytest.skip("there is no localedef, or nothing for it to read")
    place = tmp_path_factory.mktemp("locales")
    for name, (language, charmap) in MADE.items():
        subprocess.run(["localedef", "-i", language, "-f", charmap, str(place / name)], check=True, capture_output=True)
    return place


@pytest.fixture(params=ENCODINGS)
def locale(request: pytest.FixtureRequest, locales: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the locale in force."""
    if request.param in MADE:
        monkeypatch.setenv("LOCPATH", str(locales))
    monkeypatch.setenv("LC_ALL", request.param)
    return str(request.param)


def run(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    encoded = [word if isinstance(word, bytes) else word.encode() for word in words]
    return subprocess.run([*COMMAND, *encoded], input=stdin, capture_output=True, timeout=60, check=False)


def test_json_is_json_in_every_locale(locale: str, target: list[str]) -> None:
    done = run(*target, "--json", "run", "-", "--stream", stdin=f"print('{TEXT}') return '{TEXT}'".encode())
    printed, result = (json.loads(line.decode("utf-8")) for line in done.stdout.splitlines())
    assert (printed["text"], result["result"]) == (f"{TEXT}\n", TEXT)
    failed = run(*target, "--json", "run", "-", stdin=f"error('{TEXT}')".encode())
    assert TEXT in json.loads(failed.stderr.decode("utf-8"))["error"]["message"]
    # Nothing that a terminal would obey, wherever the document is shown.
    assert not any(sign in (done.stdout + failed.stderr).decode() for sign in "\x85\x9b\u2028")


def test_text_is_in_the_locale_s_encoding(locale: str, target: list[str]) -> None:
    encoding = ENCODINGS[locale]
    said = run(*target, "run", "-", stdin="print('é€')".encode())
    assert said.stdout.decode(encoding) == ("é€\n" if encoding == "utf-8" else "é?\n")
    heard = run(*target, "exec", "return io.read() == '\\u{e9}'", stdin="é\n".encode(encoding))
    assert heard.stdout == b"true\n"
    typed = run(*target, "repl", stdin="print('é')\n".encode(encoding))
    assert typed.stdout.decode(encoding) == "é\n"


def test_bytes_that_the_locale_does_not_know_end_nothing(locale: str, target: list[str]) -> None:
    for words in (["repl"], ["exec", "print(io.read())"]):
        done = run(*target, *words, stdin=b"print('caf\xe9\x81')\n")
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_message_is_utf_8_wherever_it_comes_from_a_pipe(locale: str, target: list[str]) -> None:
    done = run(*target, "chat", "mock/a", "--json", "--no-stream", stdin="é€".encode())
    assert json.loads(done.stdout.decode("utf-8"))["message"]["content"] == "[mock/a] é€"
    refused = run(*target, "chat", "mock/a", stdin=b"caf\xe9")
    assert (refused.returncode, refused.stderr) == (2, b"Error: standard input is not UTF-8 text (byte 3)\n")


@pytest.mark.parametrize("name", [name for name in one_of_each() if CASES[name].where != "kernel"])
def test_every_command_works_in_an_encoding_of_one_byte(
    name: str, locales: Path, case_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCPATH", str(locales))
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    case = CASES[name]
    done = run(*words_of(case, case_directory), stdin=os.fsencode(case.stdin))
    undo(case, case_directory)
    assert b"defect" not in done.stderr
    assert b"Traceback" not in done.stderr
    if asks_for_json(case):
        text = done.stdout.decode("utf-8")
        assert [json.loads(one) for one in ([text] if text.startswith("{\n") else text.splitlines())] or not text
        assert [json.loads(line) for line in done.stderr.decode("utf-8").splitlines()] or not done.stderr

"""Damaged documents of every kind that is read: they come in chunks, or it is said why not, by a process that goes on.

A PDF may end its process, and nothing else.
"""

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from random import Random

from llmspell_protocol.errors import LlmspellError
from tests.fuzz.trial import Trial
from tests.support.document_reading import pool, read
from tests.support.docx_files import written_docx
from tests.support.pdf_files import pdf

WITHIN_S = 60.0
_PIECES = (
    b"0",
    b"-1",
    b"99999999999",
    b"<<",
    b">>",
    b"(",
    b"<div>",
    b"</p>",
    b"|",
    b"\n",
    b"\r",
    b"```",
    b"{",
    b'"',
    b"\\u",
    b"\0",
)
_SOURCES: Mapping[str, Sequence[bytes]] = {
    "x.pdf": (pdf(["One page", "Two (pages"], {"Title": "Tides"}),),
    "x.html": (b"<title>T</title><main><h1>Tides</h1><p>High<br>water<table><tr><td>1</table><pre>x</pre></main>",),
    "x.md": (b"---\ntitle: T\n---\n# A\n\ntext\n\n- one\n  - two\n\n```\ncode\n```\n\n|a|b|\n|-|-|\n|1|2|\n",),
    "x.csv": (b'a;b\n1;"x\ny"\n2;z\n',),
    "x.json": (b'{"a": [1, {"b": "\\ud800"}], "c": null}', b'[{"a": 1}, {"a": [true]}]'),
    "x.jsonl": (b'{"a": 1}\n[2]\n',),
    "x.py": (b"# c\n@d\ndef f():\n    return 1\n\nclass A:\n    def m(self):\n        pass\n",),
    "x.cpp": (b"namespace n { class A { void f() {} }; }\ntemplate<class T> T* h() {}\n",),
    "x.txt": ("Größe 日本".encode("utf-16"), "Größe".encode("cp1252"), b"Plain. Words."),
}


def run(trial: Trial) -> None:
    """Tries one document after the other."""
    asyncio.run(_run(trial))


async def _run(trial: Trial) -> None:
    workers = pool(trial.directory)
    try:
        while trial.more():
            name, data = _document(trial.random)
            try:
                found = await read(workers, data=data, name=name, within_s=WITHIN_S)
            except LlmspellError as error:
                if error.code == "internal":
                    raise AssertionError(f"{error}, for {name}: {data[:300]!r}") from error
                continue
            if found.last["op"] == "exited":
                assert name == "x.pdf", f"{name} ended the process: {data[:300]!r}"
    finally:
        await workers.close()


def _document(random: Random) -> tuple[str, bytes]:
    if random.random() < 0.2:
        return "x.docx", _docx(random)
    name = random.choice(list(_SOURCES))
    return name, _mutated(random, random.choice(_SOURCES[name]))


def _docx(random: Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written_docx())) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            if random.random() < 0.97:
                data = old.read(entry)
                new.writestr(entry.filename, _mutated(random, data) if random.random() < 0.2 else data)
    return file.getvalue()


def _mutated(random: Random, data: bytes) -> bytes:
    """The bytes with one to twelve changes."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 12)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del changed[at : at + random.randint(1, 40)]
            case 2:
                changed[at:at] = changed[random.randrange(len(changed) + 1) :][: random.randint(1, 80)]
            case _:
                changed[at:at] = random.choice(_PIECES)
    return bytes(changed)

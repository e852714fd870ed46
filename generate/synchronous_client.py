"""Writes `llmspell/synchronous/`: the client without asyncio, from the one with it.

python -m generate.synchronous_client           writes what has changed
python -m generate.synchronous_client --check   changes nothing; exit status 1 and the name where something would

Both clients of the protocol have the same form, so that what is waited for by `await` in one is a call in the other.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping

from generate.files import ROOT, GeneratedFiles

SOURCE = ROOT / "llmspell" / "asynchronous"

WORDS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\banext\(", "next("),
    (r"\bAsync(Kernel|Reply|Models|Agents?|Tools|Rag|Asking|Client|Pending|Iterator)\b", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bconnect_async\b", "connect"),
    (r"\bllmspell_protocol\.client\.aio\b", "llmspell_protocol.client.sync"),
    (r"\bllmspell\.asynchronous\b", "llmspell.synchronous"),
)
"""What differs, in this order."""

HEADER = "# Written from llmspell/asynchronous/{name} by `make schemas`.\n"


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {path.name: _rendered(path.name, path.read_text(encoding="utf-8")) for path in sorted(SOURCE.glob("*.py"))}


def _rendered(name: str, text: str) -> str:
    if name == "__init__.py":
        return '"""The client without asyncio, written from `llmspell.asynchronous`."""\n'
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return _formatted(HEADER.format(name=name) + text)


def _formatted(text: str) -> str:
    """The text as the formatter wants it, imports sorted: shorter names change lines and orders."""
    for words in (("check", "-q", "--select", "I", "--fix"), ("format", "-q")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--stdin-filename", "llmspell/synchronous/x.py", "-"],
            input=text,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


FILES = GeneratedFiles(ROOT / "llmspell" / "synchronous", rendered, stray="has no asynchronous twin")

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))

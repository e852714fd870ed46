"""Command lines that can run anywhere, each a case of what every command must fulfil: the same in both modes, quiet in
pipes, documented keys, lines that fit a terminal.

A new command adds cases here; a test demands one of every command in the tree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.command_line import llmspell
from tests.support.command_tree import leaf_commands
from tests.support.gguf_files import gguf_file

Where = Literal["both", "local", "kernel"]


@dataclass(frozen=True)
class Case:
    """One command line, run in a directory with the files below and a home in which the model `tiny` is installed.

    `where`: `both` modes give the same; `local`: about this machine, so there is no second mode; `kernel`: needs one
    running kernel, which it finds by itself or by --connect. `undo`: command lines that put right what it has done,
    with `undo_stdin` as their standard input.
    """

    words: tuple[str, ...]
    stdin: str = ""
    where: Where = "both"
    undo: tuple[tuple[str, ...], ...] = ()
    undo_stdin: str = ""


def case(
    *words: str,
    stdin: str = "",
    where: Where = "both",
    undo: tuple[tuple[str, ...], ...] = (),
    undo_stdin: str = "",
) -> Case:
    """A case, its words written one by one."""
    return Case(words, stdin, where, undo, undo_stdin)


SUM = """{"type": "sequential", "name": "sum", "steps": [
  {"name": "add", "tool": "calculator", "input": {"input": "2 + 3"}},
  {"name": "twice", "tool": "calculator", "input": {"input": "{{add.output}} * 2"}}]}
"""
"""A workflow's file."""

CLEARED = (("rag", "clear", "--yes"),)
"""What puts right that documents have been taken in."""
MOON = "The moon draws the sea, so the tides follow the moon."
DOCUMENTS = {
    ("tides", "kept"): "High water comes twice a day, an hour later each day.",
    ("moon", "kept"): MOON,
    ("moon", "old"): MOON,
}
"""Texts by id and collection that are there, found by the model `mock/a`."""


def ingest_of(document: str, collection: str) -> tuple[str, ...]:
    """The command that puts a text there, which stands on its standard input."""
    place = ("--id", document, "--collection", collection, "--model", "mock/a", "--metadata", "kind=page")
    return ("rag", "ingest", "-", *place)


CASES: dict[str, Case] = {
    "run": case("run", "hello.lua", "--", "--name", "world", "extra"),
    "run json": case("run", "hello.lua", "--json"),
    "run stream": case("run", "hello.lua", "--json", "--stream"),
    "run stdin": case("run", "-", stdin="print('from stdin', #ARGS)"),
    "run error": case("run", "bad.lua"),
    "run error deep": case("run", "-", stdin="function f(x)\n  return x.y.z\nend\nlocal v = f({})"),
    "run error json": case("--json", "run", "bad.lua"),
    "run syntax error": case("run", "-", stdin="if then"),
    "run missing": case("run", "nosuch.lua"),
    "run engine missing": case("run", "--engine", "python", "hello.lua"),
    "run timeout": case("run", "--timeout", "0.3", "-", stdin="while true do end"),
    "run model": case("run", "-", stdin="print(Agent.create{model = 'mock/a'}:complete('hi'))"),
    "debug": case("debug", "--break-at", "hello.lua:1", "hello.lua", stdin="where\nnosuch\np 6 * 7\nc\n"),
    "debug json": case("--json", "debug", "hello.lua", stdin="break 1\np x.y\nc\n"),
    "debug quit": case("debug", "hello.lua", stdin="q\n"),
    "debug place": case("debug", "--break-at", "nowhere", "hello.lua"),
    "debug error": case("debug", "--break-on-error", "bad.lua", stdin="c\n"),
    "exec": case("exec", "6*7"),
    "exec statements": case("exec", "x = 6\nx * 7 -- forty-two"),
    "exec permission": case("exec", "--allow-write=.", "local f = io.open('w', 'w') f:close() return os.remove('w')"),
    "exec refused": case("exec", "assert(io.open('/etc/hosts'))"),
    "exec variable": case("exec", "--allow-env=LLMSPELL_HOME", "os.getenv('LLMSPELL_HOME') ~= nil"),
    "exec table": case("exec", "return {a = 1, b = {true, 'x'}}", "--json"),
    "exec stream": case("exec", "print(1) return 2", "--json", "--stream"),
    "exec print": case("exec", "io.write('no newline') return 'text'"),
    "exec input": case("exec", "return io.read()", stdin="a line\n"),
    "repl": case("repl", stdin="x = 20 + 1 x * 2\nfor i = 1, 2 do\n  print(i)\nend\n"),
    "repl permission": case("repl", "--allow-run=echo", stdin="os.execute('echo hi')\n"),
    "repl failing": case("repl", stdin="print('before')\nerror({code = 1})\n.nosuch\n"),
    "repl json": case("repl", "--json", stdin=".reset\n.set x [1, 2]\n.vars\n.load nosuch.json\n"),
    "chat": case("chat", "mock/a", "--message", "hello"),
    "chat json": case("chat", "mock/a", "--message", "hello", "--json"),
    "chat piped": case("chat", "mock/a", stdin="two\nlines\n"),
    "chat tool": case(
        "chat", "mock/a", "--tool", "calculator", "--message", 'call calculator {"input": "2+3"}', "--json"
    ),
    "chat whole": case("chat", "mock/a", "--message", "hello", "--no-stream", "--json"),
    "chat options": case(*("chat", "mock/a", "--message", "one two three four", "--max-tokens", "6", "--system", "be")),
    "chat impossible schema": case("chat", "mock/a", "--message", "x", "--schema", "impossible.json"),
    "chat schema": case("chat", "mock/a", "--message", "x", "--schema", "schema.json"),
    "chat words": case("chat", "mock/a", "What", "is this?", stdin="a text\n"),
    "chat place": case("chat", "-m", "mock/a", "before", "-", "after", stdin="the text\n"),
    "chat by name": case("chat", "mock/a", "one two three", "-o", "max-tokens", "4", "-s", "be", "--json"),
    "chat fields": case("chat", "mock/a", "x", "--schema", "name, age int, ok bool: whether"),
    "chat format": case("chat", "mock/a", "x", "--format", "json", "-x", "--json"),
    "chat extract": case("chat", "mock/a", "-x", "text\n```\ncode\n```"),
    "chat extract json": case("chat", "mock/a", "-x", "text\n```\ncode\n```", "--json", "--no-stream"),
    "chat thinking": case("chat", "mock/a", "x", "--no-think"),
    "chat blind": case("chat", "mock/a", "x", "--image", "x.png", "--json"),
    "chat no option": case("chat", "mock/a", "x", "-o", "temprature", "1"),
    "chat nearly a model": case("chat", "tinyy", "hello", "--json"),
    "chat unknown model": case("chat", "nosuch@candle", "--message", "x"),
    "embed": case("embed", "--model", "mock/a", "one", "two"),
    "embed json": case(*("embed", "--model", "mock/a", "--json", "--no-normalize", "--batch-size", "1", "one", "two")),
    "embed words": case("embed", "mock/a", "one", "two"),
    "embed piped": case("embed", "-m", "mock/a", stdin="one\ntwo\n"),
    "embed no model": case("embed", "--json", "one", "two"),
    "embed file": case("embed", "--model", "mock/a", "--file", "texts.jsonl"),
    "rag ingest": case("rag", "ingest", "pages", "--model", "mock/a", undo=CLEARED),
    "rag ingest json": case("rag", "ingest", "pages", "--model", "mock/a", "--json", undo=CLEARED),
    "rag ingest stdin": case(
        *("rag", "ingest", "-", "--id", "wind", "--model", "mock/a", "--metadata", "year=2024", "--json"),
        stdin="The wind comes from the west.",
        undo=CLEARED,
    ),
    "rag ingest again": case(*ingest_of("moon", "kept"), "--json", stdin=MOON),
    "rag ingest missing": case("rag", "ingest", "nowhere"),
    "rag ingest empty": case("rag", "ingest", "bare", "--model", "mock/a", "--json"),
    "rag ingest no text": case("rag", "ingest", "-", stdin=" \n"),
    "rag search": case("rag", "search", "high", "water", "--collection", "kept"),
    "rag search verbose": case("rag", "search", "moon", "--collection", "kept", "-v", "--full", "-k", "1"),
    "rag search json": case("rag", "search", "high water", "--collection", "kept", "--json"),
    "rag search words json": case(
        *("rag", "search", "moon", "--collection", "kept", "--method", "words", "--filter", "kind=page", "--json")
    ),
    "rag search nothing": case("rag", "search", "moon", "--collection", "kept", "--filter", "kind=none"),
    "rag search unknown collection": case("rag", "search", "moon", "--collection", "nosuch", "--json"),
    "rag search wrong": case("rag", "search", "moon", "-k", "0"),
    "rag search broken filter": case("rag", "search", "moon", "--filter", "kind", "--json"),
    "rag ask": case("rag", "ask", "When is high water?", "--collection", "kept", "-m", "mock/a", "--method", "words"),
    "rag ask json": case("rag", "ask", "When is high water?", "--collection", "kept", "-m", "mock/a", "--json"),
    "rag ask whole": case(
        *("rag", "ask", "When is high water?", "--collection", "kept", "-m", "mock/a", "--no-stream", "--json")
    ),
    "rag ask nothing": case("rag", "ask", "moon", "--collection", "kept", "-m", "mock/a", "--filter", "kind=none"),
    "rag ask nothing json": case(
        *("rag", "ask", "moon", "--collection", "kept", "-m", "mock/a", "--filter", "kind=none", "--json")
    ),
    "rag list": case("rag", "list", "--collection", "kept"),
    "rag list verbose": case("rag", "list", "--collection", "kept", "-v", "--limit", "1"),
    "rag list json": case("rag", "list", "--collection", "kept", "--json"),
    "rag collections": case("rag", "collections"),
    "rag collections json": case("rag", "collections", "--json"),
    "rag collections none": case("rag", "collections", "--tenant", "nosuch"),
    "rag stats": case("rag", "stats", "--collection", "kept"),
    "rag stats json": case("rag", "stats", "--json"),
    "rag delete": case("rag", "delete", "nosuch", "--collection", "kept"),
    "rag delete json": case(
        *("rag", "delete", "moon", "--collection", "old", "--json"),
        undo=(ingest_of("moon", "old"),),
        undo_stdin=MOON,
    ),
    "rag delete nothing": case("rag", "delete"),
    "rag clear asks": case("rag", "clear", "--collection", "kept", stdin="n\n"),
    "rag clear unknown json": case("rag", "clear", "--collection", "nosuch", "--yes", "--json"),
    "rag clear json": case(
        *("rag", "clear", "--collection", "old", "--yes", "--json"),
        undo=(ingest_of("moon", "old"),),
        undo_stdin=MOON,
    ),
    "rag rebuild": case("rag", "rebuild", "--collection", "kept"),
    "rag rebuild json": case("rag", "rebuild", "--collection", "kept", "--json"),
    "model list": case("model", "list"),
    "model list verbose": case("model", "list", "-v"),
    "model list json": case("model", "list", "--json"),
    "model list down": case("model", "list", "--backend", "ollama"),
    "model pull": case("model", "pull", "mock/a", "--json"),
    "model pull here": case(
        *("model", "pull", "file://{cwd}/other.gguf", "--json"), undo=(("model", "remove", "other", "--yes"),)
    ),
    "model import json": case("model", "import", "other.gguf", "--json", undo=(("model", "remove", "other", "--yes"),)),
    "model import list": case("model", "import", "{cwd}", "--list"),
    "model import list json": case("model", "import", "{cwd}", "--list", "--json"),
    "model import nothing": case("model", "import", "nowhere.gguf"),
    "model search no words": case("model", "search", " "),
    "model search no words json": case("model", "search", " ", "--json"),
    "model pull unknown": case("model", "pull", "nosuch@candle"),
    "model pull no backend": case("model", "pull", "x@invalid"),
    "model remove": case("model", "remove", "nosuch@candle", "--yes"),
    "model remove json": case(
        "model", "remove", "tiny", "--yes", "--json", undo=(("model", "pull", "file://{cwd}/tiny.gguf"),)
    ),
    "model default": case("model", "default"),
    "model default json": case("model", "default", "--json"),
    "model default set": case("model", "default", "tiny", "-c", "mine.toml", where="local"),
    "model info": case("model", "info", "mock/a", "--json"),
    "model info installed": case("model", "info", "tiny"),
    "model info installed json": case("model", "info", "tiny", "--json"),
    "model info unknown": case("model", "info", "nosuch"),
    "model available": case("model", "available"),
    "model available that fits": case("model", "available", "--fits"),
    "model available json": case("model", "available", "--recommended", "--json"),
    "model status": case("model", "status"),
    "model status json": case("model", "status", "--format", "json"),
    "model status down": case("model", "status", "--backend", "ollama"),
    "model install-ollama": case("model", "install-ollama", "--print"),
    "model install-ollama json": case("model", "install-ollama", "--print", "--json"),
    "model verify": case("model", "verify", "--all", "--json"),
    "model load": case("model", "load", "mock/a", where="kernel"),
    "model load elsewhere": case("model", "load", "mock/a", "--device", "cuda:1", "--json", where="kernel"),
    "model load without drafts": case("model", "load", "mock/a", "--speculation", "off", "--json", where="kernel"),
    "model load json": case("model", "load", "mock/a", "--json", where="kernel"),
    "model load with a context": case("model", "load", "mock/a", "--num-ctx", "2048", "--json", where="kernel"),
    "model unload": case("model", "unload", "mock/a", where="kernel"),
    "model unload json": case("model", "unload", "mock/a", "--json", where="kernel"),
    "model ps": case("model", "ps", where="kernel"),
    "model ps json": case("model", "ps", "--json", where="kernel"),
    "events": case("events", where="kernel"),
    "events json": case("events", "--json", where="kernel"),
    "events follow json": case("events", "-f", "-n", "0", "--json", where="kernel"),
    "tool list": case("tool", "list"),
    "tool list verbose": case("tool", "list", "-v", "--category", "utility"),
    "tool list pretty": case("tool", "list", "--format", "pretty"),
    "tool list json": case("tool", "list", "--json"),
    "tool list no category": case("tool", "list", "--category", "nosuch"),
    "tool list permissions": case("tool", "list", "--permissions"),
    "tool list permissions json": case("tool", "list", "--permissions", "--allow-net=a.example", "--json"),
    "tool list of permissions that nothing uses": case("tool", "list", "--allow-net"),
    "tool info": case("tool", "info", "calculator"),
    "tool info json": case("tool", "info", "calculator", "--show-schema", "--json"),
    "tool info unknown": case("tool", "info", "calculater", "--json"),
    "tool invoke": case("tool", "invoke", "calculator", "--params", '{"expression": "sqrt(16)"}'),
    "tool invoke json": case("tool", "invoke", "calculator", "--params", '{"input": "6*7"}', "--json"),
    "tool invoke stream": case("tool", "invoke", "Calculator", "--params", '{"input": "6*7"}', "--json", "--stream"),
    "tool invoke file": case("tool", "invoke", "calculator", "--params", "@call.json"),
    "tool invoke stdin": case("tool", "invoke", "calculator", "--params", "-", stdin='{"input": "6*7"}'),
    "tool invoke failing": case("tool", "invoke", "calculator", "--params", '{"input": "1/0"}', "--json"),
    "tool invoke nothing": case("tool", "invoke", "calculator"),
    "tool invoke no json": case("tool", "invoke", "calculator", "--params", "{expression}"),
    "tool invoke timeout": case(
        *("tool", "invoke", "calculator", "--timeout", "0.001", "--params", '{"input": "1"}', "--json")
    ),
    "state show": case("state", "show"),
    "state show json": case("state", "show", "--json"),
    "state show missing": case("state", "show", "nosuch"),
    "state show key json": case("state", "show", "nosuch", "--json"),
    "state show scope json": case("state", "show", "--scope", "all", "--json"),
    "state show bad scope": case("state", "show", "--scope", "a..b"),
    "state clear": case("state", "clear", "--yes"),
    "state clear json": case("state", "clear", "--yes", "--json"),
    "state clear asks": case("state", "clear", stdin="n\n"),
    "state clear missing": case("state", "clear", "nosuch"),
    "state export": case("state", "export"),
    "state export json": case("state", "export", "state-out.json", "--json"),
    "state export toml": case("state", "export", "--format", "toml", "--scope", "all"),
    "state import": case("state", "import", "state.json", undo=(("state", "clear", "--yes"),)),
    "state import json": case(
        "state", "import", "state.json", "--merge", "--json", undo=(("state", "clear", "--yes"),)
    ),
    "state import stdin": case("state", "import", stdin="a = 1\n", undo=(("state", "clear", "--yes"),)),
    "state import missing": case("state", "import", "nowhere.json"),
    "state import wrong": case("state", "import", stdin='{"a": {"$type": "x"}}'),
    "workflow run": case("workflow", "run", "sum.workflow.json"),
    "workflow run watched": case("workflow", "run", "sum.workflow.json", "--watch", "--input", '{"n": 2}', "--json"),
    "workflow run stdin": case("workflow", "run", "-", "--input", "@call.json", "--json", stdin=SUM),
    "workflow run failing": case("workflow", "run", "-", "--json", stdin=SUM.replace("2 + 3", "1 / 0")),
    "workflow run missing": case("workflow", "run", "nosuch.json"),
    "workflow run wrong": case("workflow", "run", "-", stdin='{"type": "sequential", "steps": [{"name": "a"}]}'),
    "workflow resume": case("workflow", "resume", "nosuch"),
    "workflow list": case("workflow", "list"),
    "workflow list json": case("workflow", "list", "--json"),
    "workflow cancel": case("workflow", "cancel", "nosuch"),
    "workflow discard": case("workflow", "discard", "nosuch", "--json"),
    "tool search": case("tool", "search", "math"),
    "tool search json": case("tool", "search", "math", "--json"),
    "tool search nothing": case("tool", "search", "nosuchword"),
    "tool test": case("tool", "test", "calculator", "--verbose"),
    "tool test json": case("tool", "test", "calculator", "--json"),
    "run session": case("run", "--session", "notes", "hello.lua", "--json"),
    "exec session": case("exec", "--session", "notes", "6*7"),
    "chat session": case(
        *("chat", "mock/a", "--session", "fresh", "--message", "hello", "--json"),
        undo=(("session", "delete", "fresh", "--yes"),),
    ),
    "chat continue": case("chat", "--continue", "--message", "hello"),
    "chat continue both": case("chat", "--continue", "--session", "notes", "--message", "hello"),
    "session list": case("session", "list"),
    "session list verbose": case("session", "list", "-v", "--limit", "1"),
    "session list none": case("session", "list", "--status", "failed"),
    "session list json": case("session", "list", "--json"),
    "session show": case("session", "show", "notes"),
    "session show json": case("session", "show", "notes", "--json"),
    "session show unknown": case("session", "show", "nosuch", "--json"),
    "session search": case("session", "search", "capital"),
    "session search json": case("session", "search", "capital", "france", "--json"),
    "session search nothing": case("session", "search", "nosuchword"),
    "session export": case("session", "export", "notes"),
    "session export json": case("session", "export", "notes", "--json"),
    "session export file": case("session", "export", "notes", "notes.json"),
    "session export file json": case("session", "export", "notes", "notes.md", "--json"),
    "session replay": case("session", "replay", "notes", "--dry-run"),
    "session replay unknown json": case("session", "replay", "nosuch", "--json"),
    "session replay json": case("session", "replay", "notes", "--json"),
    "session replay modified": case(
        *("session", "replay", "notes", "--set", "messages.0.content", "other", "--to-step", "1", "--json")
    ),
    "session delete": case("session", "delete", "nosuch"),
    "session delete unknown json": case("session", "delete", "nosuch", "--json"),
    "session delete json": case(
        *("session", "delete", "--all", "--yes", "--json"),
        undo=(("chat", "mock/a", "--session", "notes", "--message", "What is the capital of France?"),),
    ),
    "session delete asks": case("session", "delete", "--all", stdin="n\n"),
    "kernel start": case(
        *("kernel", "start", "--daemon", "--port", "0", "--id", "more"),
        where="local",
        undo=(("kernel", "stop", "more"),),
    ),
    "kernel start json": case(
        *("kernel", "start", "--daemon", "--port", "0", "--id", "more", "--json"),
        where="local",
        undo=(("kernel", "stop", "more"),),
    ),
    "kernel status": case("kernel", "status", where="kernel"),
    "kernel status json": case("kernel", "status", "--json", where="kernel"),
    "kernel connect": case("kernel", "connect", stdin="print('there')\n", where="kernel"),
    "kernel connect json": case("kernel", "connect", "--json", stdin=".reset\n.vars\n", where="kernel"),
    "kernel stop none": case("kernel", "stop", "--all", where="local"),
    "kernel stop none json": case("kernel", "stop", "--all", "--json", where="local"),
    "kernel logs": case("kernel", "logs", where="kernel"),
    "kernel logs json": case("kernel", "logs", "--json", where="kernel"),
    "kernel install-service": case(
        "kernel", "install-service", "--service-type", "systemd", "--dry-run", where="local"
    ),
    "kernel install-service json": case(
        *("kernel", "install-service", "--service-type", "launchd", "--dry-run", "--json"), where="local"
    ),
    "kernel uninstall-service": case(
        *("kernel", "uninstall-service", "--service-type", "systemd", "--name", "there"), where="local"
    ),
    "kernel uninstall-service json": case(
        *("kernel", "uninstall-service", "--service-type", "systemd", "--name", "there", "--json"), where="local"
    ),
    "config init": case("config", "init", "--output", "new.toml", "--force", where="local"),
    "config init json": case("--json", "config", "init", "--output", "new.toml", "--force", where="local"),
    "config validate": case("config", "validate", where="local"),
    "config validate json": case("config", "validate", "--json", where="local"),
    "config show": case("config", "show", "models"),
    "config show sources": case("config", "show", "rag.vector_storage", "--sources"),
    "config show json": case("config", "show", "providers", "--json"),
    "config show sources json": case("config", "show", "runtime", "--sources", "--format", "json"),
    "config show unknown": case("config", "show", "nosuch"),
    "config set": case("config", "set", "kernel.port", "9600", "-c", "mine.toml", where="local"),
    "config set several": case(
        "config", "set", "kernel.port", "9600", "kernel.max_clients", "4", "-c", "mine.toml", where="local"
    ),
    "config set json": case("config", "set", "models.pin", "a,b", "-c", "mine.toml", "--json", where="local"),
    "config unset": case("config", "unset", "kernel.max_clients", "-c", "mine.toml", where="local"),
    "config unset json": case("config", "unset", "models.max_queue", "-c", "mine.toml", "--json", where="local"),
    "config trust": case("config", "trust", "mine.toml", "--yes", where="local"),
    "config trust json": case("config", "trust", "mine.toml", "--yes", "--json", where="local"),
    "config trust revoke json": case("config", "trust", "mine.toml", "--revoke", "--json", where="local"),
    "config import-mcp": case("config", "import-mcp", "mcp.json", "-c", "mine.toml", where="local"),
    "config import-mcp json": case("config", "import-mcp", "mcp.json", "-c", "mine.toml", "--json", where="local"),
    "config import-mcp dry run json": case("config", "import-mcp", "mcp.json", "--dry-run", "--json", where="local"),
    "config reload": case("config", "reload", where="kernel"),
    "config reload json": case("config", "reload", "--json", where="kernel"),
    "config list-profiles": case("config", "list-profiles", where="local"),
    "config list-profiles json": case("config", "list-profiles", "--json", where="local"),
    "config schema json": case("config", "schema", "kernel", "--json", where="local"),
    "keys add": case("keys", "add", "openai", "--stdin", "--store", "file", stdin="sk-a\n", where="local"),
    "keys add json": case(
        *("keys", "add", "openai", "--stdin", "--store", "file", "--json"), stdin="sk-a\n", where="local"
    ),
    "keys list": case("keys", "list", where="local"),
    "keys list json": case("keys", "list", "--json", where="local"),
    "keys remove": case("keys", "remove", "groq", where="local"),
    "keys remove json": case("keys", "remove", "groq", "--json", where="local"),
    "doctor": case("doctor", "--offline", where="local"),
    "doctor json": case("doctor", "--offline", "--json", where="local"),
    "doctor fix json": case("doctor", "--offline", "--fix", "--yes", "--json", where="local"),
    "completion bash": case("completion", "bash", where="local"),
    "completion zsh": case("completion", "zsh", where="local"),
    "completion fish": case("completion", "fish", where="local"),
    "completion json": case("completion", "fish", "--json", where="local"),
    "jupyter install": case("jupyter", "install", "--prefix", "env", where="local"),
    "jupyter install json": case("jupyter", "install", "--prefix", "env", "--json", where="local"),
    "jupyter list": case("jupyter", "list", "--prefix", "mine", where="local"),
    "jupyter list json": case("jupyter", "list", "--prefix", "mine", "--json", where="local"),
    "jupyter remove": case("jupyter", "remove", "--prefix", "there", "--yes", where="local"),
    "jupyter remove json": case("jupyter", "remove", "--prefix", "there", "--yes", "--json", where="local"),
    "jupyter lua-api": case("jupyter", "lua-api"),
    "jupyter lua-api json": case("jupyter", "lua-api", "--json"),
    "version": case("version", "--component", "cli"),
    "version verbose": case("version", "--verbose", "--component", "cli"),
    "version json": case("version", "--json"),
    "version client json": case("version", "--client", "--json"),
}

FILES = {
    "hello.lua": b"print('Hello, ' .. tostring(ARGS.name))\nreturn {count = #ARGS}\n",
    "bad.lua": b"print('before')\nlocal x = nil\nprint(x.y)\n",
    "impossible.json": b'{"type": "string", "minLength": 5, "maxLength": 2}',
    "schema.json": b'{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}',
    "state.json": b'{"theme": "dark", "visits": 3, "mixed": {"$type": "table", "#1": 1, "=x": 2}}',
    "call.json": b'{"input": "6*7"}',
    "sum.workflow.json": SUM.encode(),
    "pages/tides.md": b"# Tides\n\n## High water\n\nHigh water comes twice a day, an hour later each day.\n",
    "pages/moon.md": b"# The moon\n\nThe moon draws the sea, so the tides follow the moon.\n",
    "bare/x.png": b"\x89PNG\r\n\x1a\n" + bytes(8),
    "texts.jsonl": b'"one"\n{"text": "two"}\n',
    "there/share/jupyter/kernels/llmspell/kernel.json": b"{}",
    "mine/share/jupyter/kernels/spell/kernel.json": json.dumps(
        {"argv": ["/usr/bin/python3", "-m", "llmspell_kernel", "-f", "{connection_file}"], "display_name": "Spell"}
    ).encode(),
    "user/systemd/user/there.service": b"[Unit]\n",
    "x.png": b"\x89PNG\r\n\x1a\n" + bytes(8),
    "tiny.gguf": gguf_file(),
    "other.gguf": gguf_file(),
    "mcp.json": b'{"mcpServers": {"time": {"command": "mcp-server-time"}}}',
    "mine.toml": b"[kernel]\nmax_clients = 5\n[models]\nmax_queue = 5\n",
    "home/keys.json": b'{"keys": {"groq": "sk-a"}, "in_keyring": []}',
}
"""What lies in the directory in which the cases run."""


def asks_for_json(one: Case) -> bool:
    """Whether a case prints JSON."""
    return "--json" in one.words or "json" in one.words


def write_files(directory: Path) -> None:
    """Writes the files that the cases name."""
    for name, content in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)


def words_of(one: Case, cwd: Path) -> list[str]:
    """A case's words as they are typed in this directory."""
    return _in(one.words, cwd)


def _in(words: tuple[str, ...], cwd: Path) -> list[str]:
    return [word.replace("{cwd}", str(cwd)) for word in words]


def undo(one: Case, cwd: Path) -> None:
    """Puts right what a case has done."""
    for words in one.undo:
        assert llmspell(*_in(words, cwd), stdin=one.undo_stdin).status == 0


def command_of(one: Case) -> tuple[str, ...]:
    """The command in the tree that a case is about."""
    found = [path for path in leaf_commands() if _holds(one.words, path)]
    assert found, f"{one.words} is not a case of any command"
    return max(found, key=len)


def _holds(words: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether the command's words stand together, behind global options at most."""
    start = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
    return words[start : start + len(path)] == path


def one_of_each() -> list[str]:
    """A case of every command for people and one for programs, where it has both."""
    return list({(command_of(one), asks_for_json(one)): name for name, one in reversed(CASES.items())}.values())


_TOGETHER = 8


def together(where: Where) -> dict[str, list[str]]:
    """The cases that one kernel can serve one after another, by their command.

    The repl's are apart from each other: a kernel keeps what is typed there.
    """
    found: dict[str, list[str]] = {}
    for name, one in CASES.items():
        if one.where == where:
            command = " ".join(command_of(one))
            found.setdefault(name if command == "repl" else command, []).append(name)
    # A test of many cases takes longer on a busy machine than a test may.
    return {
        command if at == 0 else f"{command} from {names[at]}": names[at : at + _TOGETHER]
        for command, names in found.items()
        for at in range(0, len(names), _TOGETHER)
    }


def missing() -> list[str]:
    """Commands of the tree that no case is about."""
    return [" ".join(path) for path in sorted(set(leaf_commands()) - {command_of(one) for one in CASES.values()})]

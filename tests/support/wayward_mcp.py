"""An MCP server of a few lines that does one thing wrong: `python -m tests.support.wayward_mcp MANNER`.

What is right is what servers did before 2026: a handshake, a list, calls. `echo` is a tool that works in every manner.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

MANNER = sys.argv[1] if len(sys.argv) > 1 else "right"
ECHO = {"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object"}}
DEEP: Any = {}
for _ in range(150):
    DEEP = {"properties": DEEP}

LISTS: dict[str, list[Any]] = {
    "bad_tools": [
        ECHO,
        "a text",
        {"name": "no schema"},
        {"name": "a b", "inputSchema": {"type": "object"}},
        {"name": "\x1b[2J", "inputSchema": {"type": "object"}},
        {"name": "list", "inputSchema": []},
        {"name": "array", "inputSchema": {"type": "array"}},
        {"name": "mistyped", "inputSchema": {"type": "object", "properties": 3}},
        {"name": "far", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}},
        {"name": "deep", "inputSchema": {"type": "object", "properties": DEEP}},
        {"name": "large", "inputSchema": {"type": "object", "description": "x" * 100_000}},
        {"name": "echo", "inputSchema": {"type": "object"}},
        {"name": "odd", "title": 3, "annotations": "x", "_meta": [], "inputSchema": {"type": "object"}},
        {"name": "talkative", "description": "ab\x1b[31m\u202e" + "x" * 50_000, "inputSchema": {"type": "object"}},
    ],
}


def say(message: Any) -> None:
    """One message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def say_plainly(number: Any, structured: str) -> None:
    """The answer to a call, with structured content that is written as it is."""
    result = '{"content": [], "structuredContent": ' + structured + "}"
    sys.stdout.write(f'{{"jsonrpc": "2.0", "id": {number}, "result": {result}}}\n')
    sys.stdout.flush()


def forever(line: str) -> None:
    """One line without end of lines."""
    while True:
        sys.stdout.write(line)


def answer(number: Any, result: Any) -> None:
    """The answer to a request."""
    say({"jsonrpc": "2.0", "id": number, "result": result})


def call(number: Any, name: str, arguments: Any) -> None:
    """One call of a tool."""
    if name == "echo":
        answer(number, {"content": [{"type": "text", "text": json.dumps(arguments)}]})
    elif MANNER == "other_id":
        answer(number + 1000, {"content": [{"type": "text", "text": "of another"}]})
    elif MANNER == "deaf":
        threading.Event().wait()
    elif MANNER == "half":
        sys.stdout.write('{"jsonrpc": "2.0", "id": ')
        sys.stdout.flush()
        os._exit(7)
    elif MANNER == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif MANNER == "huge":
        forever("x" * 65536)
    elif MANNER == "stray":
        forever("what?\n")
    elif MANNER == "deep":
        say_plainly(number, '{"a": ' + "[" * 500 + "]" * 500 + "}")
    elif MANNER == "large_result":
        answer(number, {"content": [{"type": "text", "text": "x" * (17 << 20)}]})
    elif MANNER == "many_values":
        answer(number, {"content": [], "structuredContent": {"all": [[]] * 600_000}})
    elif MANNER == "no_result":
        answer(number, {"content": 5})
    elif MANNER == "no_base64":
        answer(number, {"content": [{"type": "image", "mimeType": "image/png", "data": "%%%"}]})
    elif MANNER == "nan":
        say_plainly(number, '{"a": 1e999, "b": "\\ud800", "c": 123456789012345678901234567890}')
    elif MANNER == "refusing":
        say({"jsonrpc": "2.0", "id": number, "error": {"code": -32602, "message": f"no {os.environ.get('TOKEN')}"}})
    elif MANNER == "progress":
        token = arguments.get("token")
        for at in range(100_000):
            params = {"progressToken": token, "progress": at, "message": "x" * 100}
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


def flood() -> None:
    """Notifications without end, beside everything else."""
    line = json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}) + "\n"
    while True:
        os.write(1, line.encode())


def main() -> None:
    """Answers one line after the other."""
    if MANNER == "silent":
        threading.Event().wait()
    if MANNER == "garbage":
        forever("no message\n")
    if MANNER == "ends":
        print("why: a missing file", file=sys.stderr)
        sys.exit(4)
    if MANNER == "banner":
        os.write(1, b"Welcome!\n\xff\xfe\n{}\n[1]\n\n")
    if MANNER == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize" and MANNER == "unwilling":
            say({"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": "not today"}})
        elif method == "initialize":
            answer(
                number,
                {
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "wayward", "version": "1"},
                },
            )
            if MANNER == "flood":
                threading.Thread(target=flood, daemon=True).start()
        elif method == "tools/list":
            tools = LISTS.get(MANNER, [ECHO, {"name": "err", "inputSchema": {"type": "object"}}])
            answer(number, {"tools": tools, **({"nextCursor": "more"} if MANNER == "endless" else {})})
        elif method == "tools/call":
            params = message["params"]
            token = params.get("_meta", {}).get("progressToken")
            call(
                number,
                params["name"],
                {**params.get("arguments", {}), **({"token": token} if MANNER == "progress" else {})},
            )
        elif number is not None:
            say({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": f"no method {method}"}})
    while MANNER == "stubborn":
        time.sleep(1)


if __name__ == "__main__":
    main()

"""An MCP server written with the official package, as its users write one: `python -m tests.support.mcp_server`.

Speaks on its standard streams, or with `--http` over HTTP, on a port that it prints.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PIXEL = base64.b64encode(b"\x89PNG not really").decode()

server = MCPServer("tried", version="3.1")


@server.tool()
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@server.tool()
def weather(city: str) -> dict[str, Any]:
    """The weather in a city."""
    return {"city": city, "degrees": 21.5, "next": [20, 19]}


@server.tool()
def picture() -> list[types.ContentBlock]:
    """A picture with a word."""
    return [
        types.TextContent(text="a pixel"),
        types.ImageContent(data=PIXEL, mime_type="image/png"),
        types.AudioContent(data=PIXEL, mime_type="audio/x-wav"),
        types.EmbeddedResource(
            resource=types.TextResourceContents(uri="memo://1", text="remember", mime_type="text/plain")
        ),
        types.ResourceLink(name="readme", uri="file:///readme.md", description="what to read"),
    ]


@server.tool()
def fail(secret: str = "") -> str:
    """Says no."""
    raise ToolError(f"no {os.environ.get(secret, '')}")


@server.tool()
def environment() -> list[str]:
    """The names of its variables."""
    return sorted(os.environ)


@server.tool()
def variable(called: str) -> str:
    """One of its variables."""
    return os.environ.get(called, "")


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, and tells how far it is."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"at {number}")
    return "counted"


@server.tool()
async def wait(marker: str) -> str:
    """Waits until it is cancelled; the marker tells how far it is."""
    place = Path(marker)
    place.write_text("begun")  # noqa: ASYNC240 - small, and nothing waits
    try:
        await asyncio.Event().wait()
    except BaseException:
        place.write_text("cancelled")  # noqa: ASYNC240 - as above
        raise
    return ""


@server.tool()
def end(status: int) -> str:
    """Ends in the middle of the call."""
    os._exit(status)


@server.tool()
async def grow(ctx: Context) -> str:
    """Brings one more tool."""
    server.add_tool(lambda: "new", name="grown", description="A new one.")
    await ctx.notify_tools_changed()
    return "grown"


def main() -> None:
    """Speaks on the streams or over HTTP."""
    if "--http" not in sys.argv:
        server.run("stdio")
        return
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()

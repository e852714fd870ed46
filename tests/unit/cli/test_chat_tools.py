"""Which tools a conversation gets of a server."""

from __future__ import annotations

import pytest

from llmspell_cli.chat.tool_use import tools_of
from llmspell_protocol.errors import NotFound

LISTED = {
    "tools": [
        {"name": "github/search", "source": "mcp github"},
        {"name": "github/steal", "source": "script"},
        {"name": "team/ask", "source": "script"},
    ],
    "problems": [],
}


def test_a_script_s_tool_with_a_server_s_name_before_it_is_none_of_the_server_s() -> None:
    assert tools_of("github", LISTED) == ["github/search"]
    with pytest.raises(NotFound, match=r"MCP server 'team' has no tools; servers with tools: github$"):
        tools_of("team", LISTED)

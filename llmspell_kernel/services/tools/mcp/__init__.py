"""Tools of MCP servers: which servers there are, when each runs, what it is given. Speaks no MCP itself."""

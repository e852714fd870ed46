"""Sessions with servers that speak the Model Context Protocol, by the official package `mcp` (an extra)."""

"""The check of MCP servers: whether what they are started with is on this machine. Starts none."""

from __future__ import annotations

from llmspell_cli.doctor.finding import Finding, ok, skip, warn
from llmspell_cli.doctor.subject import Subject


def tool_servers(subject: Subject) -> Finding:
    """What the servers of `[mcp]` lack: the package, programs, secrets, variables."""
    if subject.loaded is None:
        return skip("needs a configuration that can be used")
    servers = subject.loaded.settings.mcp.servers.enabled
    if not servers:
        return ok("none configured", servers=[])
    # Only a configuration with such servers needs it.
    from llmspell_profiles.checking.mcp_servers import problems_of_servers

    found = list(problems_of_servers(subject.loaded.settings.mcp, subject.env, subject.home))
    details = {"servers": list(servers), "problems": [f"{'.'.join(each.path)}: {each.text}" for each in found]}
    listed = ", ".join(servers)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return warn(f"{listed}; {details['problems'][0]}{more}", found[0].hint or "llmspell config validate", **details)
    return ok(listed, **details)

"""What a call of a tool may touch: the settings, what the command granted, and where its client is, put together.

One model for scripts, their tools and their agents. Settings count for every call; `runtime.security` has a say about
calls of scripts alone. A grant (`--allow-read` and its like) counts for one command.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from llmspell_kernel.identity import Caller
from llmspell_kernel.scripting.limits import named, programs_of, variables_of
from llmspell_kernel.scripting.rights import Rights
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.description import Need, ToolDescription
from llmspell_protocol.tools.permissions import SETTINGS, Permissions

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


def permissions_of(
    settings: Settings,
    caller: Caller,
    rights: Rights,
    *,
    directories: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    own_environment: Mapping[str, str] = MappingProxyType({}),
) -> Permissions:
    """The permissions of a caller's calls.

    `directories` are the working directory, first, and the script's: what is below can be read. `environment` are the
    variables that the client has sent, `own_environment` the kernel's, which settings may name variables of.
    """
    tools, security = settings.tools, settings.runtime.security
    is_script = caller.kind == "script"
    files = tools.file_operations
    paths = tuple(files.allowed_paths) if files.enabled and (security.allow_file_access or not is_script) else ()
    below = tuple(one for one in directories if one != "/") if files.enabled else ()
    hosts = tuple(tools.http_request.allowed_hosts) if security.allow_network_access or not is_script else ()
    kept = tools.permissions
    by_settings = variables_of(settings)
    variables = (*by_settings, *rights.env)
    return Permissions(
        read=(*paths, *below, *kept.read, *rights.read),
        write=(*paths, *kept.write, *rights.write),
        net=(*hosts, *kept.net, *rights.net),
        blocked=tuple(one for one in tools.http_request.blocked_hosts if one not in (*hosts, *kept.net, *rights.net)),
        run=(*programs_of(settings), *rights.run),
        env=variables,
        variables={**named(own_environment, by_settings), **named(environment or {}, variables)},
        working_directory=directories[0] if directories else None,
    )


def demand(
    tool: ToolDescription, permissions: Permissions, settings: Settings, asked_about: Collection[Need] = ()
) -> None:
    """Raises `Forbidden` where tools are switched off, or the tool could do nothing with these permissions.

    What exactly a call may touch is looked at again where it touches it, in the worker. For kinds that a person is
    `asked_about` there alone: here the question would be about everything.
    """
    if not settings.tools.enabled:
        raise Forbidden("tools are switched off", hint="set tools.enabled = true", details={"setting": "tools.enabled"})
    missing = [kind for kind in tool.needs if not getattr(permissions, kind)]
    if not missing or len(missing) < len(tool.needs):
        return
    kind = missing[0]
    if not {*missing}.isdisjoint(asked_about):
        return
    raise Forbidden(
        f"Permission denied: tool '{tool.name}' needs the permission to {_DOING[kind]}",
        hint=f"allow it with --allow-{kind}, or for every call in the setting {SETTINGS[kind]}",
        details={"permission": kind, "name": EVERYTHING, "setting": SETTINGS[kind], "tool": tool.name},
    )


_DOING = {
    "read": "read files",
    "write": "write files",
    "net": "use the network",
    "run": "run programs",
    "env": "read environment variables",
}

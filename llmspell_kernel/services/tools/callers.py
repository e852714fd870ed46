"""Whose tools a request calls, and what they may touch: from the request at the root, which a client made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.places import script_directory, working_directory
from llmspell_kernel.scripting.rights import granted
from llmspell_kernel.services.tools.permissions import permissions_of
from llmspell_protocol.tools.permissions import Permissions

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


def owner_of(caller: Caller) -> str:
    """Whose agents and tools a caller's are: a script's belong to its context, a client's to its connection."""
    return caller.context or caller.client


def permissions_for(
    request: Request, settings: Settings, environment: Mapping[str, str], *, of_script: bool = False
) -> Permissions:
    """What the tools may touch that a request calls; `of_script`: that a script of its caller's would call.

    `environment` is the kernel's own: variables that settings name, and that the client has not sent, are read there.

    Raises:
        InvalidRequest: a grant or a directory of the command makes no sense.
        Forbidden: the client may grant nothing.
    """
    root = request.root
    directory = working_directory(root)
    places = (directory, script_directory(root, directory))
    return permissions_of(
        settings,
        request.caller._replace(kind="script") if of_script else request.caller,
        granted(root),
        directories=[place for place in places if place is not None],
        environment=root.options.env,
        own_environment=environment,
    )

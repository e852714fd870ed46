"""What one execution may do beside computing: files, programs, variables and addresses, granted with its request.

A grant is a list of paths, names or hosts; `*` stands for all. It adds to what the kernel's settings allow every
script. Only who may do everything with this kernel, from its own machine, can grant anything, and notebooks that such
a client has opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.request_options import EVERYTHING, PERMISSIONS

if TYPE_CHECKING:
    from llmspell_kernel.request import Request


class Rights(NamedTuple):
    """What is granted of each kind; reading below the script's and the working directory needs no grant."""

    read: Sequence[str] = ()
    """Absolute paths: files, and directories with all that is below."""
    write: Sequence[str] = ()
    net: Sequence[str] = ()
    """Hosts that pulls may have addresses of."""
    run: Sequence[str] = ()
    """Programs: names, or absolute paths."""
    env: Sequence[str] = ()
    """Environment variables of the client's."""


NO_RIGHTS = Rights()


def granted(request: Request) -> Rights:
    """What the request grants (`metadata.llmspell.allow`).

    Raises:
        InvalidRequest: a kind that there is not, or a path that is not absolute.
        Forbidden: the caller may grant nothing.
    """
    given = request.options.allow
    if not given:
        return NO_RIGHTS
    for kind in given:
        if kind not in PERMISSIONS:
            raise InvalidRequest(
                f"metadata.llmspell.allow.{kind} is not a permission; there are {', '.join(PERMISSIONS)}"
            )
    flags = ", ".join(f"--allow-{kind}" for kind in PERMISSIONS if kind in given)
    if not request.caller.grants:
        request.caller.demand("admin", flags)
        raise Forbidden(f"{flags}: a client on another machine can grant nothing on this one")
    _check_paths(given)
    return Rights(**{kind: tuple(names) for kind, names in given.items()})


def _check_paths(given: Mapping[str, Sequence[str]]) -> None:
    for kind in ("read", "write"):
        for path in given.get(kind, ()):
            if path != EVERYTHING and (not os.path.isabs(path) or "\0" in path):
                raise InvalidRequest(f"metadata.llmspell.allow.{kind}: '{path}' is not an absolute path")

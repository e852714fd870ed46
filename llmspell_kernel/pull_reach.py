"""Whether a caller may have opened what a model's name in a pull means. Knows names and callers, no network.

Names of the catalog, repositories of the hub and models of Ollama's library are for everyone who may pull. Whatever
else a pull opens could tell something about this machine and its network: whether a port answers, what a file is.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from llmspell_kernel.identity import Caller
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.request_options import EVERYTHING
from llmspell_providers.spec import ModelSpec


def demand_files(caller: Caller, path: str) -> None:
    """Raises `Forbidden` where a caller may not have files of the kernel's machine looked at and used.

    Raises:
        InvalidRequest: the path is not a whole one, so that it would mean another file for each of both sides.
        Forbidden: as above.
    """
    if "files" not in caller.reach or not caller.local:
        raise _no_files(caller, path)
    if not path.startswith("/"):
        raise InvalidRequest(
            f"'{path}' is not a whole path", hint="begin it with /", details={"path": path, "reason": "relative"}
        )


def _no_files(caller: Caller, named: str) -> Forbidden:
    return Forbidden(
        f"{named} names a file of the kernel's machine, which this {caller.kind} may not read",
        hint="scripts need runtime.security.allow_file_access = true, clients a kernel on their own machine and"
        " the right 'admin'",
        details={"model": named, "opens": "files"},
    )


def demand_reach(caller: Caller, model: str) -> None:
    """Raises `Forbidden` where a pull of this model would open what the caller may not reach.

    Whether an address that may be public is, only the pull sees, when it connects.

    Raises:
        InvalidRequest: the text is no model's name.
        Forbidden: as above.
    """
    spec = ModelSpec.parse(model)
    opens = spec.opens
    if opens == "public" and opens in caller.reach and spec.source is not None:
        _demand_host(caller, model, spec.source)
    if opens is None or (opens in caller.reach and (caller.local or opens != "files")):
        return
    if opens == "files":
        raise _no_files(caller, model)
    if opens == "private":
        raise Forbidden(
            f"{model} names a registry, which this {caller.kind} may not use",
            hint="pull a name of Ollama's library, or hf.co/ORG/REPO; only the kernel's owner may pull this",
            details={"model": model, "opens": opens},
        )
    raise Forbidden(
        f"{model} is an address, which this {caller.kind} may not have opened",
        hint="pull a name of the catalog or hf.co/ORG/REPO; a script's addresses need --allow-net=HOST, or"
        " runtime.security.allow_pull_addresses = true",
        details={"model": model, "opens": opens},
    )


def _demand_host(caller: Caller, model: str, address: str) -> None:
    host = urlsplit(address).hostname or ""
    allowed = any(one in (EVERYTHING, host) or host.endswith(f".{one}") for one in caller.hosts)
    if not allowed:
        raise Forbidden(
            f"{model}: pulling from {host} needs --allow-net={host}", details={"model": model, "host": host}
        )

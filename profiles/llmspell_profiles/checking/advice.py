"""What deserves a second look in settings that are valid: credentials, secrets in files, options that are not read.

Called by `validation.check` only: it would slow down a run's start.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.credentials.secrets import find_api_key, is_reference, is_secret
from llmspell_profiles.loading.loader import LoadedSettings
from llmspell_profiles.loading.origins import in_file
from llmspell_profiles.nested import leaves
from llmspell_profiles.problems import KeyPath, Remark
from llmspell_profiles.schema.backend_options import is_option
from llmspell_profiles.schema.schema_keys import find
from llmspell_profiles.schema.vendors import ignored, is_own_server
from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.extras import install_command
from llmspell_protocol.vendors import KEY_VARIABLES


def advice(loaded: LoadedSettings, env: Mapping[str, str]) -> Iterator[Remark]:
    """All remarks about settings in force; `env` is the whole environment."""
    yield from _packages(loaded)
    yield from _credentials(loaded, env)
    yield from _literal_secrets(loaded)
    yield from _options(loaded)
    yield from _ignored(loaded)
    yield from _servers_of_tools(loaded, env)
    yield from _unused_variables(loaded)
    yield from _doubtful_places(loaded)
    yield from _unencrypted(loaded)


def _packages(loaded: LoadedSettings) -> Iterator[Remark]:
    for name, table in loaded.settings.providers.enabled.items():
        if table.provider_type in KEY_VARIABLES:
            package = "anthropic" if table.provider_type == "anthropic" else "openai"
            if find_spec(package) is None:
                place, details = loaded.origins.place(("providers", name))
                text = f"needs the package '{package}', which is not installed"
                yield Remark(place, text, details, install_command(package))


def _credentials(loaded: LoadedSettings, env: Mapping[str, str]) -> Iterator[Remark]:
    store = KeyStore(loaded.home)
    for name, table in loaded.settings.providers.enabled.items():
        if table.provider_type not in KEY_VARIABLES or is_own_server(table):
            continue  # a local backend, or a server that may ask for no key
        try:
            key = find_api_key(name, table, env, store)
        except ConfigError as error:
            yield Remark("", error.message, error.details, error.hint)
            return
        if key is None:
            place, details = loaded.origins.place(("providers", name))
            variable = table.api_key_env or KEY_VARIABLES[table.provider_type]
            text = f"no credentials ({variable} is not set, no key stored)"
            yield Remark(place, text, details, f"llmspell keys add {name}")


def _literal_secrets(loaded: LoadedSettings) -> Iterator[Remark]:
    source = loaded.origins.source
    if loaded.source is None:
        return
    found = False
    for path, value in _own_values(source.data):
        known = find(path, loaded.origins.providers) is not None
        if not (isinstance(value, str) and value and is_secret(path[-1], known=known)) or "${" in value:
            continue
        found = True
        place, details = in_file(source, path)
        if path[0] == "providers" and path[-1] == "api_key":
            hint = f"use api_key_env or 'llmspell keys add {path[1]}'"
        elif path[:2] == ("mcp", "servers"):
            hint = f'llmspell keys add {path[2]}, and {{ secret = "{path[2]}" }} in its place'
        else:
            hint = 'write "${NAME}" and set that variable'
        yield Remark(place, "a secret stands in the file", details, hint)
    # Nothing to say about a file that went away while it was checked.
    if found and loaded.source.exists() and loaded.source.stat().st_mode & 0o077:
        text = "others can read this file, and a secret stands in it"
        yield Remark(source.name, text, {"file": source.name}, f"chmod 600 {source.name}")


def _options(loaded: LoadedSettings) -> Iterator[Remark]:
    for name, table in loaded.settings.providers.tables.items():
        for option in table.options:
            if not is_option(option, table.provider_type):
                place, details = loaded.origins.place(("providers", name, option))
                yield Remark(place, f"unknown option, the {table.provider_type} backend may ignore it", details)


def _ignored(loaded: LoadedSettings) -> Iterator[Remark]:
    for name, table in loaded.settings.providers.tables.items():
        for key in ignored(table):
            is_set = getattr(table, key) != table.FIELDS[key].default
            if is_set and loaded.origins.source_of(("providers", name, key)) is not None:
                yield _about(loaded, ("providers", name, key), "accepted, has no effect")


def _servers_of_tools(loaded: LoadedSettings, env: Mapping[str, str]) -> Iterator[Remark]:
    if not any(path[0] == "mcp" for path, _ in _own_values(loaded.origins.source.data)):
        return
    # Only a configuration with such servers needs it.
    from llmspell_profiles.checking.mcp_servers import problems_of_servers

    for path, text, hint in problems_of_servers(loaded.settings.mcp, env, loaded.home):
        place, details = loaded.origins.place(path)
        yield Remark(place, text, details, hint)


def _unused_variables(loaded: LoadedSettings) -> Iterator[Remark]:
    """A key alone may be meant for another program; with more variables set, the provider is meant."""
    for variable, path in loaded.unused.items():
        if path[-1] != "api_key":
            text = f"has no effect, providers.{path[1]} is not configured"
            yield Remark(variable, text, {"variable": variable, "key": ".".join(path)})


def _doubtful_places(loaded: LoadedSettings) -> Iterator[Remark]:
    settings = loaded.settings
    if not settings.tools.network.verify_ssl:
        yield _about(loaded, ("tools", "network", "verify_ssl"), "certificates are not checked")
    for directory in settings.tools.file_operations.allowed_paths:
        # What can't be expanded isn't there either.
        if directory != "*" and not Path(os.path.expanduser(directory)).exists():
            text = f"{directory} does not exist"
            yield _about(loaded, ("tools", "file_operations", "allowed_paths"), text)
    export = settings.events.export
    if export.file is not None and not export.file.parent.is_dir():
        yield _about(loaded, ("events", "export", "file"), f"the directory {export.file.parent} does not exist")
    if export.webhook is not None and _is_plain_and_far(export.webhook):
        yield _about(loaded, ("events", "export", "webhook"), "events leave this machine unencrypted (http)")
    for name, table in settings.providers.tables.items():
        device = getattr(table, "device", "")
        if device.startswith("cuda") if sys.platform == "darwin" else device == "metal":
            text = f"{device} does not exist on this platform, the CPU is used"
            yield _about(loaded, ("providers", name, "device"), text)


def _unencrypted(loaded: LoadedSettings) -> Iterator[Remark]:
    kernel = loaded.settings.kernel
    if kernel.transport == "tcp":
        text = "this version can't encrypt connections, so a kernel over tcp doesn't start"
        if kernel.security.curve == "required":
            yield _about(loaded, ("kernel", "security", "curve"), text)
        if kernel.security.allow_remote:
            yield _about(loaded, ("kernel", "security", "allow_remote"), text)


def _about(loaded: LoadedSettings, path: KeyPath, text: str) -> Remark:
    place, details = loaded.origins.place(path)
    return Remark(place, text, details)


def _is_plain_and_far(url: str) -> bool:
    address = parse_address(url)
    return address.scheme == "http" and not address.is_near


def _own_values(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """What a file says itself: references of servers to secrets are left out."""

    def refers(path: KeyPath, value: Any) -> bool:
        return len(path) > 1 and path[0] == "mcp" and is_reference(value)

    return ((path, value) for path, value in leaves(data, whole=refers) if not isinstance(value, dict))

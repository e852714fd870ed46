"""The MCP servers of other clients' JSON files, as tables of `[mcp.servers]`.

Knows the forms of Claude Desktop, Claude Code, Cursor, Windsurf, Gemini CLI (`mcpServers`) and of VS Code (`servers`).
A value that looks like a secret becomes a reference, and is given beside the tables; what can't be said is a reason
against that server. Reads and writes no file.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from llmspell_profiles.credentials.secrets import is_secret, without_secrets
from llmspell_profiles.schema.mcp import SERVER_NAME

_ADDRESSES = ("url", "serverUrl", "httpUrl")
_KINDS = {
    "stdio": "command",
    "http": "url",
    "streamable-http": "url",
    "streamablehttp": "url",
    "streamable_http": "url",
}
_WITHOUT_MEANING_HERE = {
    "alwaysAllow": "tools.approval says which calls are asked about",
    "autoApprove": "tools.approval says which calls are asked about",
    "trust": "tools.approval says which calls are asked about",
    "timeout": "mcp.servers.NAME.timeout_seconds is its place, in seconds",
    "description": "",
    "name": "",
    "icon": "",
    "gallery": "",
    "version": "",
    "dev": "",
}
_KNOWN = frozenset(
    {
        *("type", "transport", "command", "args", "env", "cwd", *_ADDRESSES, "headers", "disabled", "enabled"),
        *("includeTools", "excludeTools", *_WITHOUT_MEANING_HERE),
    }
)
_OF_EDITORS = frozenset(
    (
        "workspaceFolder",
        "workspaceFolderBasename",
        "workspaceRoot",
        "userHome",
        "file",
        "fileDirname",
        "cwd",
        "pathSeparator",
    )
)
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_LIKE_A_KEY = re.compile(
    r"(?:sk-|sk_|pk_|ghp_|gho_|github_pat_|glpat-|hf_|xox[abpr]-|AKIA|AIza|ya29\.|eyJ[A-Za-z0-9_-]{10})[A-Za-z0-9_.-]{6,}"
)
_PLACEHOLDER = re.compile(r"(?i)<.*>|.*\b(?:your|my)[-_ ].*|x{3,}|\.{3}|changeme|")
_SCHEME = re.compile(r"(?i)(Bearer|Basic|Token|ApiKey) +")
_SECRET_OPTION = re.compile(r"(?i)--?[a-z-]*(?:key|token|secret|password|credential)[a-z-]*(?:=(.+))?")


class Imported(NamedTuple):
    """What a file of another client says. `secrets` are values by the names that tables refer to them by.

    `wanting` are names that tables refer to and the file has no value for. `notes` are sentences about what is left
    out; `refused` says by server why it can't be imported.
    """

    tables: Mapping[str, dict[str, Any]]
    secrets: Mapping[str, str]
    wanting: tuple[str, ...]
    notes: tuple[str, ...]
    refused: Mapping[str, str]


class _Inexpressible(Exception):
    """A server's entry says what a table can't; the text says what."""


def servers_in(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The entries by name in a file of any of these clients; None where it has none."""
    inside = document.get("mcp")
    for place in (document.get("mcpServers"), document.get("servers"), _map(inside).get("servers")):
        if isinstance(place, Mapping):
            return place
    return None


def imported(servers: Mapping[str, Any], only: Collection[str] = ()) -> Imported:
    """The tables of the entries, of those named in `only` if there are any."""
    tables: dict[str, dict[str, Any]] = {}
    reading = _Reading()
    refused: dict[str, str] = {}
    for given, entry in servers.items():
        if only and given not in only:
            continue
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", given).strip("-_")[:63]
        try:
            if not re.fullmatch(SERVER_NAME, name) or name in tables:
                raise _Inexpressible("its name has no letters or digits, or another has it")
            tables[name] = reading.table(name, entry)
        except _Inexpressible as reason:
            refused[given] = str(reason)
            continue
        if name != given:
            reading.notes.append(f"'{given}' is called {name} here")
    wanting = tuple(name for name in reading.wanting if name not in reading.secrets)
    return Imported(tables, reading.secrets, wanting, tuple(reading.notes), refused)


class _Reading:
    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.wanting: dict[str, None] = {}
        self.notes: list[str] = []

    def table(self, name: str, entry: Any) -> dict[str, Any]:
        if not isinstance(entry, Mapping):
            raise _Inexpressible("it is no object")
        unknown = sorted(key for key in entry if key not in _KNOWN)
        if unknown:
            raise _Inexpressible(f"there is nothing here that means {', '.join(unknown)}")
        address = next((entry[key] for key in _ADDRESSES if entry.get(key)), None)
        self._check_kind(entry, address)
        table: dict[str, Any] = {}
        if entry.get("disabled") is True or entry.get("enabled") is False:
            table["enabled"] = False
        if address is None:
            table["command"] = _expandable(_text(entry.get("command"), "command"))
            if args := _texts(entry, "args"):
                _refuse_secrets(args)
                table["args"] = [_expandable(arg) for arg in args]
            if env := self._given(name, entry, "env"):
                table["env"] = env
            if entry.get("cwd"):
                table["cwd"] = _expandable(_text(entry["cwd"], "cwd"))
        else:
            url = _text(address, "url")
            if without_secrets(url) != url:
                raise _Inexpressible("its URL has a secret in it: a header can be a reference to one")
            table["url"] = _expandable(url)
            if headers := self._given(name, entry, "headers"):
                table["headers"] = headers
        for theirs, ours in (("includeTools", "allow"), ("excludeTools", "deny")):
            if listed := _texts(entry, theirs):
                table[ours] = listed
        for key, why in _WITHOUT_MEANING_HERE.items():
            if key in entry and why:
                self.notes.append(f"{name}: {key} is left out; {why.replace('NAME', name)}")
        return table

    def _check_kind(self, entry: Mapping[str, Any], address: Any) -> None:
        kind = entry.get("type", entry.get("transport"))
        if address is not None and entry.get("command"):
            raise _Inexpressible("it has a command and a URL")
        if kind is None:
            return
        wanted = _KINDS.get(str(kind).lower())
        if wanted is None:
            other = "; streamable HTTP can" if str(kind).lower() == "sse" else ""
            raise _Inexpressible(f"the transport {str(kind)[:40]} can't be spoken{other}")
        if (wanted == "url") != (address is not None):
            raise _Inexpressible(f"it is said to be {kind}, and has no {wanted}")

    def _given(self, server: str, entry: Mapping[str, Any], key: str) -> dict[str, Any]:
        values = entry.get(key) or {}
        if not isinstance(values, Mapping):
            raise _Inexpressible(f"{key} is no object")
        return {name: self._value(server, name, value) for name, value in values.items() if value is not None}

    def _value(self, server: str, name: str, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            value = str(value).lower() if isinstance(value, bool) else str(value)
        text = _text(value, name)
        references = _REFERENCE.findall(text)
        if references:
            return self._referred(server, name, text, references)
        looks = is_secret(name, known=False) or _LIKE_A_KEY.search(text) or without_secrets(text) != text
        if not looks:
            return text.replace("$", "$$")
        scheme = _SCHEME.match(text)
        prefix = scheme[0] if scheme else ""
        kept = _kept_as(server, name)
        if _PLACEHOLDER.fullmatch(text[len(prefix) :]):
            self.wanting[kept] = None
        else:
            self.secrets[kept] = text[len(prefix) :]
        return _reference("secret", kept, prefix)

    def _referred(self, server: str, name: str, text: str, references: list[str]) -> dict[str, str]:
        start, _, rest = text.partition("${")
        if len(references) > 1 or not rest.endswith("}") or rest.count("}") != 1:
            raise _Inexpressible(f"{name} is put together from more than one value")
        kind, _, what = references[0].rpartition(":")
        if kind == "input":
            kept = _kept_as(server, what)
            self.wanting[kept] = None
            return _reference("secret", kept, start)
        if not _is_variable(kind, what):
            raise _Inexpressible(f"{name} refers to ${{{references[0][:60]}}}, which means nothing here")
        return _reference("variable", what, start)


def _is_variable(kind: str, name: str) -> bool:
    """Whether `${kind:name}` is an environment variable, and nothing that an editor alone knows."""
    is_named = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return is_named and (kind == "env" or (not kind and name not in _OF_EDITORS))


def _reference(kind: str, name: str, prefix: str) -> dict[str, str]:
    return {kind: name, **({"prefix": prefix} if prefix else {})}


def _kept_as(server: str, name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", f"mcp-{server}-{name}".lower()).strip("-")
    return words[:128]


def _expandable(text: str) -> str:
    """A text of the file as ours has it, where `${NAME}` is a variable and `$$` a dollar."""

    def replaced(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$$"
        kind, _, name = found[1].rpartition(":")
        if not _is_variable(kind, name):
            raise _Inexpressible(f"${{{found[1][:60]}}} means nothing here")
        return f"${{{name}}}"

    return re.sub(r"\$(?:\{([^}]*)\})?", replaced, text)


def _refuse_secrets(args: list[str]) -> None:
    for at, arg in enumerate(args):
        option = _SECRET_OPTION.fullmatch(arg)
        value = (option[1] if option[1] is not None else next(iter(args[at + 1 :]), "")) if option else arg
        is_value = (
            option is not None and value and not value.startswith(("-", "${")) and not _PLACEHOLDER.fullmatch(value)
        )
        if is_value or _LIKE_A_KEY.search(arg) or without_secrets(arg) != arg:
            raise _Inexpressible("an argument looks like a secret, and arguments stand in the file: give it by env")


def _texts(entry: Mapping[str, Any], key: str) -> list[str]:
    values = entry.get(key) or []
    if not isinstance(values, list):
        raise _Inexpressible(f"{key} is no list")
    return [_text(value, key) for value in values]


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _Inexpressible(f"{key} is no text" if value is not None else f"it has no {key}")
    return value


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
